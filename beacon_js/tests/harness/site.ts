import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Route = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A web server on loopback. `requests` are those it got, the page and its scripts aside. */
export interface Site {
  origin: string;
  requests: { method: string; path: string; headers: IncomingMessage["headers"] }[];
  close: () => void;
}

const script = (file: string): string => readFileSync(new URL(`../../dist/${file}`, import.meta.url), "utf8");

const page = (head: string): string => `<!doctype html><title>page</title><body><script>
  globalThis.uncaught = [];
  addEventListener("error", ({ message }) => uncaught.push(message));
  addEventListener("unhandledrejection", ({ reason }) => uncaught.push(String(reason)));
</script>${head}`;

/**
 * The start of a page that loads the beacon, reports to `collector`, keeps what the beacon complains of, and has a
 * function that reads a streamed body.
 */
export const withBeacon = (collector: string): string => `<script src="/beacon.iife.js"></script><script>
  globalThis.complaints = [];
  globalThis.read = async ({ body }) => {
    let text = "";
    for (let reader = body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += value;
    }
  };
  globalThis.beacon = streamgap.createBeacon({ url: "${collector}", onError: (error) => complaints.push(String(error)) });
</script>`;

export const openSite = async ({
  head,
  routes = {},
  headers = {},
}: {
  head: string;
  routes?: Record<string, Route>;
  headers?: Record<string, string>;
}): Promise<Site> => {
  const requests: Site["requests"] = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url!, "http://site");
    if (pathname === "/" || pathname === "/next")
      return response.writeHead(200, { "Content-Type": "text/html", ...headers }).end(page(head));
    if (/^\/\w+(\.iife)?\.js$/.test(pathname))
      return response.writeHead(200, { "Content-Type": "text/javascript" }).end(script(pathname.slice(1)));
    const route = routes[pathname];
    if (!route) return response.writeHead(404).end();
    requests.push({ method: request.method!, path: request.url!, headers: request.headers });
    return route(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};
