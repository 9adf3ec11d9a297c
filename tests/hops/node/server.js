// What stands between an app and its proxy in Node. Usage: node server.js KIND PORT UPSTREAM
import http from "node:http";
import { Readable } from "node:stream";
import compression from "compression";
import express from "express";
import { createProxyMiddleware, responseInterceptor } from "http-proxy-middleware";

const [kind, port, upstream] = process.argv.slice(2);
const app = express();

/** Ask the app behind for the same stream, uncompressed. */
const ask = (req) => fetch(upstream + req.originalUrl, { method: req.method, headers: { "accept-encoding": "identity" } });

const headed = async (req, res) => {
  const answer = await ask(req);
  res.status(answer.status);
  for (const name of ["content-type", "cache-control", "content-encoding", "x-accel-buffering"]) {
    if (answer.headers.has(name)) res.set(name, answer.headers.get(name));
  }
  return answer;
};

const piped = async (req, res) => {
  const answer = await headed(req, res);
  Readable.fromWeb(answer.body).pipe(res);
};

const flushed = async (req, res) => {
  const answer = await headed(req, res);
  for await (const chunk of answer.body) {
    res.write(chunk);
    res.flush();
  }
  res.end();
};

const collected = async (req, res) => {
  const answer = await headed(req, res);
  res.send(await answer.text());
};

const proxied = (more = {}) => createProxyMiddleware({ target: upstream, changeOrigin: true, ...more });

const kinds = {
  pipe: () => app.use(piped),
  compression: () => app.use(compression(), piped),
  "compression-flush": () => app.use(compression(), flushed),
  "compression-filter": () =>
    app.use(compression({ filter: (req, res) => !/event-stream/.test(res.getHeader("Content-Type")) }), piped),
  text: () => app.use(collected),
  proxy: () => app.use(proxied()),
  "proxy-compression": () => app.use(compression(), proxied()),
  "proxy-interceptor": () =>
    app.use(
      proxied({ selfHandleResponse: true, on: { proxyRes: responseInterceptor(async (buffer) => buffer) } }),
    ),
};

kinds[kind]();
http.createServer(app).listen(Number(port), "127.0.0.1");
