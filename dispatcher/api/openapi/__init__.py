"""The OpenAPI document of the REST API, made from what the server itself reads bodies with and answers in.

``operations`` is the table of the routes, ``document`` puts it together with the addresses and the rights that the
views name, ``schemas`` turns the types of bodies and answers into JSON Schema.
"""
