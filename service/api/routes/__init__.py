"""One module a kind of route; each exports `router` and finds
what it needs in `request.app.state`.
"""
