"""A real nginx in front of the app, configured the ways people have it.

`passing`  `proxy_buffering off` behind TLS.
`cured`    nothing but defaults behind TLS, and the app's own anti-buffering headers reach it.
`tls`      the same defaults, but the headers do not reach it (another hop ate them, or the app never sent them): the
           case that works on localhost and hoards in production, since only TLS collects a 16 KiB record.
`gzip`     gzip on `text/event-stream` with buffering on, in clear.

Two more stand in front of the relay's app, `relay_clear` and `relay_tls`: defaults, and the app's headers reach them.
"""

from pathlib import Path

from certificate import make_certificate

SCHEMES = {"passing": "https", "cured": "https", "tls": "https", "gzip": "http"}
RELAY_SCHEMES = {"relay_clear": "http", "relay_tls": "https"}
CONFIG = """
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;
  server {{
    listen 127.0.0.1:{passing} ssl;
    location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_set_header X-Bare 1; proxy_buffering off; }}
  }}
  server {{
    listen 127.0.0.1:{cured} ssl;
    location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
  }}
  server {{
    listen 127.0.0.1:{tls} ssl;
    location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_set_header X-Bare 1; }}
  }}
  server {{
    listen 127.0.0.1:{gzip};
    gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;
    location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_set_header X-Bare 1; proxy_buffering on; }}
  }}
  server {{
    listen 127.0.0.1:{relay_clear};
    location / {{ proxy_pass http://127.0.0.1:{relay_upstream}; }}
  }}
  server {{
    listen 127.0.0.1:{relay_tls} ssl;
    location / {{ proxy_pass http://127.0.0.1:{relay_upstream}; }}
  }}
}}
"""


def write_config(directory: Path, *, upstream: int, relay_upstream: int, ports: dict[str, int]) -> Path:
    """Write nginx.conf and a self-signed certificate into `directory`; `ports` are those of the servers by name."""
    make_certificate(directory)
    config = directory / "nginx.conf"
    config.write_text(CONFIG.format(directory=directory, upstream=upstream, relay_upstream=relay_upstream, **ports))
    return config
