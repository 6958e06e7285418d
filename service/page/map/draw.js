/** Draws the points with WebGL 2: one call a frame, however many there are. */

/** @import { Camera } from "./camera.js" */

/**
 * @typedef {keyof typeof KINDS} Kind by what points are coloured: by nothing, by values, from a lowest to a highest one
 * @typedef {{values: number[][], low: number[], high: number[], faint: number[], accent: number[]}} Colours red, green and
 *   blue, 0 to 1
 */

const VERTEX = `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in uint number;
layout(location = 2) in uint selected;
uniform vec2 middle;
uniform vec2 scale;
uniform float size;
uniform int kind;
uniform vec3 palette[12];
uniform vec3 low, high, faint, accent;
out vec4 colour;
void main() {
  bool hidden = number == 254u;
  vec3 base = faint;
  float depth = 0.4;
  if (selected == 1u) { base = accent; depth = 0.0; }
  else if (hidden || number == 255u) depth = hidden ? 0.8 : 0.6;
  else if (kind == 1) base = palette[min(int(number), 11)];
  else if (kind == 2) { float share = float(number) / 250.0; base = mix(low, high, share); depth = 0.4 - 0.2 * share; }
  else base = palette[0];
  colour = vec4(base, hidden && selected == 0u ? 0.35 : 0.9);
  gl_Position = vec4((place * 65535.0 - middle) * scale, depth, 1.0);
  gl_PointSize = selected == 1u ? size + 2.0 : size;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour;
out vec4 drawn;
void main() {
  vec2 off = gl_PointCoord - 0.5;
  if (dot(off, off) > 0.25) discard;
  drawn = vec4(colour.rgb * colour.a, colour.a);
}`;

const KINDS = { none: 0, values: 1, range: 2 };

export class Drawing {
  /** @type {WebGL2RenderingContext} */
  #gl;
  #places;
  #numbers;
  #selected;
  /** @type {Record<string, ?WebGLUniformLocation>} */
  #uniforms = {};
  #count = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @returns {?Drawing} null where the browser has no WebGL 2
   */
  static of(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true, depth: true });
    return gl && new Drawing(gl);
  }

  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.#gl = gl;
    const program = gl.createProgram();
    for (const [type, source] of /** @type {const} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
      // null is for a kind of shader that there is not
      const shader = /** @type {WebGLShader} */ (gl.createShader(type));
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    for (const name of ["middle", "scale", "size", "kind", "palette", "low", "high", "faint", "accent"]) {
      this.#uniforms[name] = gl.getUniformLocation(program, name);
    }
    this.#places = this.#buffer(0, () => gl.vertexAttribPointer(0, 2, gl.UNSIGNED_SHORT, true, 0, 0));
    this.#numbers = this.#buffer(1, () => gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_BYTE, 0, 0));
    this.#selected = this.#buffer(2, () => gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_BYTE, 0, 0));
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /**
   * @param {number} at its number in the shader
   * @param {() => void} points says how it is read
   */
  #buffer(at, points) {
    const gl = this.#gl;
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    points();
    return buffer;
  }

  /**
   * @param {WebGLBuffer} buffer
   * @param {Uint16Array<ArrayBuffer>|Uint8Array<ArrayBuffer>} values
   */
  #fill(buffer, values) {
    const gl = this.#gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  }

  /** @param {Uint16Array<ArrayBuffer>} places x and y of each */
  setPlaces(places) {
    this.#count = places.length / 2;
    this.#fill(this.#places, places);
    this.setNumbers(new Uint8Array(this.#count));
    this.setSelected(new Uint8Array(this.#count));
  }

  /** @param {Uint8Array<ArrayBuffer>} numbers one a point */
  setNumbers(numbers) {
    this.#fill(this.#numbers, numbers);
  }

  /** @param {Uint8Array<ArrayBuffer>} selected 1 where a point is */
  setSelected(selected) {
    this.#fill(this.#selected, selected);
  }

  /**
   * @param {Kind} kind
   * @param {Colours} colours
   */
  setColours(kind, { values, low, high, faint, accent }) {
    const gl = this.#gl;
    gl.uniform1i(this.#uniforms.kind, KINDS[kind]);
    const padded = [...values, ...Array(12).fill(faint)].slice(0, 12);
    gl.uniform3fv(this.#uniforms.palette, new Float32Array(padded.flat()));
    for (const [name, colour] of Object.entries({ low, high, faint, accent })) gl.uniform3fv(this.#uniforms[name], colour);
  }

  /**
   * @param {Camera} camera
   * @param {number} ratio device px a px
   */
  draw(camera, ratio) {
    const gl = this.#gl;
    gl.viewport(0, 0, camera.width * ratio, camera.height * ratio);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!this.#count) return;
    gl.uniform2f(this.#uniforms.middle, camera.x, camera.y);
    gl.uniform2f(this.#uniforms.scale, (2 * camera.scale) / camera.width, (-2 * camera.scale) / camera.height);
    // Many points are small until one is near them.
    const size = Math.min(9, Math.max(1.5, 90 / Math.cbrt(this.#count)));
    gl.uniform1f(this.#uniforms.size, Math.min(18, size * camera.zoom ** 0.35) * ratio);
    gl.drawArrays(gl.POINTS, 0, this.#count);
  }
}
