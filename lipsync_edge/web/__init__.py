"""The web page of a head: a process of its own that asks the head by its control socket alone.

``routes`` lists what there is, ``base`` guards every request, ``engine`` asks the head, ``live``
hands its motion on to all viewers. The library is tornado: it has no dependencies, it speaks HTTP
and WebSockets, streams uploads, has limits for all of them, and costs 28 MB in all.
"""
