"""Traces by OpenTelemetry: a span for each request, to the collector that the environment names
(`OTEL_EXPORTER_OTLP_ENDPOINT`). Off by default, and then nothing is loaded that could send.

Spans have the route and never the address: what people search for is not sent anywhere.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexer import __version__
from indexer.errors import BadRequest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

CLOSE_S = 3.0  # for the last spans to be sent
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Traces:
    """Where spans go."""

    def __init__(self, exporter: SpanExporter) -> None:
        """
        :raises BadRequest: if the packages are not installed.
        """
        _check_installed()
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # The environment's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before.
        ours = Resource({"service.name": "lakesift", "service.version": __version__})
        self._provider = TracerProvider(resource=ours.merge(_of_environment()))
        # In batches, from a thread of its own: no request waits for a collector.
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer("lakesift", __version__)

    @classmethod
    def to_collector(cls) -> Traces:
        """As OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and the like say.

        :raises BadRequest: if the packages are not installed.
        """
        _check_installed()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return cls(OTLPSpanExporter())

    def close(self) -> None:
        """Send what is left."""
        self._provider.force_flush(int(CLOSE_S * 1000))
        self._provider.shutdown()


class Traced:
    """ASGI middleware, the outermost: goes on with a caller's trace (`traceparent`), or begins
    one.
    """

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app, self._tracer = app, traces.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        given = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        context = TraceContextTextMapPropagator().extract(given)
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracer.start_as_current_span(
            method,
            context,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
            # What went wrong is in the log; an exception's words may hold somebody's query.
            record_exception=False,
        ) as span:
            scope.setdefault("state", {})["trace_id"] = f"{span.get_span_context().trace_id:032x}"
            try:
                await self._app(scope, receive, watched)
            finally:
                route = getattr(scope.get("route"), "path", None)
                if route is not None:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                if status:
                    span.set_attribute("http.response.status_code", status)
                if status == 0 or status >= 500:
                    span.set_status(StatusCode.ERROR)


def _of_environment() -> Any:
    """What the environment says of this service, and of it alone: no host and no process."""
    from opentelemetry.sdk.resources import OTELResourceDetector

    return OTELResourceDetector().detect()


def _check_installed() -> None:
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError:
        raise BadRequest(
            "--traces",
            "traces need packages that are not installed: pip install 'lakesift[traces]'",
        ) from None
