import assert from "node:assert/strict";
import type { Beacon, BeaconOptions } from "../../src/api.ts";
import { openSite, withBeacon, type Site } from "../harness/site.ts";
import { dripping, events, SSE } from "../harness/streams.ts";
import { inEachBrowser } from "../harness/suite.ts";

declare const beacon: Beacon;
declare const complaints: string[];
declare const read: (answer: Response) => Promise<string>;
declare const streamgap: { createBeacon: (options: BeaconOptions) => Beacon };

const ALL = [":\n\n", ...events(3)].join("");

/** A server of another origin, which allows the page's own header and no other. */
const openApi = (): Promise<Site> =>
  openSite({
    head: "",
    routes: {
      "/stream": (request, response) => {
        response.setHeader("Access-Control-Allow-Origin", "*");
        response.setHeader("Access-Control-Allow-Headers", request.url!.includes("open") ? "*" : "content-type");
        if (request.method === "OPTIONS") response.writeHead(204).end();
        else response.writeHead(200, SSE).end("data: 1\n\n");
      },
    },
  });

inEachBrowser("surroundings", (play) => {
  play(
    "a page whose CSP keeps the beacon from its collector is not disturbed",
    { routes: { "/stream": dripping(3) }, headers: () => ({ "Content-Security-Policy": "connect-src 'self'" }) },
    async ({ tab, collector }) => {
      assert.equal(await tab.evaluate(async () => read(await beacon.fetch("/stream"))), ALL);
      await tab.waitForFunction(() => complaints.length === 1);
      assert.equal(collector.reports.length, 0);
    },
  );

  play(
    "a page whose collector is down is not disturbed",
    { routes: { "/stream": dripping(3) }, head: () => withBeacon("http://127.0.0.1:9/v1/beacon") },
    async ({ tab }) => {
      assert.equal(await tab.evaluate(async () => read(await beacon.fetch("/stream"))), ALL);
      await tab.waitForFunction(() => complaints.length === 1);
    },
  );

  play(
    "an error handler that throws does not disturb the page",
    { routes: { "/stream": dripping(3) } },
    async ({ tab }) => {
      const text = await tab.evaluate(async () => {
        let calls = 0;
        const onError = () => {
          calls++;
          throw new Error("handler");
        };
        const text = await read(await streamgap.createBeacon({ url: "http://127.0.0.1:9/", onError }).fetch("/stream"));
        while (!calls) await new Promise((resolve) => setTimeout(resolve, 20));
        return text;
      });
      assert.equal(text, ALL);
    },
  );

  play(
    "a cross-origin request gets no preflight that it would not have had",
    { routes: {} },
    async ({ tab, collector }) => {
      const api = await openApi();
      try {
        await tab.evaluate(async (origin) => {
          await read(await beacon.fetch(`${origin}/stream?get`));
          await read(await beacon.fetch(new Request(`${origin}/stream?request`)));
          await read(await beacon.fetch(`${origin}/stream?simple`, { method: "POST", body: "text" }));
          const headers = { "Content-Type": "application/json" };
          await read(await beacon.fetch(`${origin}/stream?json`, { method: "POST", headers, body: "{}" }));
        }, api.origin);
        await collector.report(() => collector.reports.length === 4);
        assert.deepEqual(
          api.requests.map(({ method, path }) => `${method} ${path.replace(/sid=\w+/, "sid")}`),
          [
            "GET /stream?get&sid",
            "GET /stream?request&sid",
            "POST /stream?simple",
            "OPTIONS /stream?json",
            "POST /stream?json",
          ],
        );
        assert.ok(api.requests.every(({ headers }) => headers["x-stream-id"] === undefined));
        assert.equal(api.requests[3]!.headers["access-control-request-headers"], "content-type");
      } finally {
        api.close();
      }
    },
  );

  play(
    "a cross-origin request carries the header where the page says that it may",
    { routes: {} },
    async ({ tab, collector }) => {
      const api = await openApi();
      try {
        await tab.evaluate(
          async (origin, url) => {
            const { fetch } = streamgap.createBeacon({ url, header: "always" });
            await read(await fetch(`${origin}/stream?open`, { method: "POST", body: "{}" }));
          },
          api.origin,
          collector.url,
        );
        const { sid } = await collector.report();
        assert.equal(api.requests.at(-1)!.headers["x-stream-id"], sid);
      } finally {
        api.close();
      }
    },
  );
});
