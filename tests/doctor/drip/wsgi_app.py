"""The app that gunicorn serves in the tests, checked against PEP 3333 in every request."""

from wsgiref.validate import validator

from streamgap.doctor import DripWsgi

app = validator(DripWsgi())
