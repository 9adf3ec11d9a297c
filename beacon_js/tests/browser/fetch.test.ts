import assert from "node:assert/strict";
import { once } from "node:events";
import { gzipSync } from "node:zlib";
import type { Beacon } from "../../src/api.ts";
import { inEachBrowser } from "../harness/suite.ts";
import { drip, dripping, events, later, silent, SSE, stalling } from "../harness/streams.ts";

declare const beacon: Beacon;
declare const complaints: string[];
/** Reads all of `response.body`; part of every page. */
declare const read: (answer: Response) => Promise<string>;

inEachBrowser("fetch", (play, name) => {
  play(
    "a stream that ends by itself is reported once, with what it was",
    { routes: { "/stream": dripping(20) } },
    async ({ tab, site, collector }) => {
      const text = await tab.evaluate(async () => read(await beacon.fetch("/stream")));
      assert.equal(text, [":\n\n", ...events(20)].join(""));
      const report = await collector.report();
      assert.equal(report.sid, site.requests[0]!.headers["x-stream-id"]);
      const { via, end, status, unit, count, stride, proto } = report;
      assert.deepEqual(
        { via, end, status, unit, count, stride, proto },
        { via: "fetch", end: "done", status: 200, unit: "events", count: 20, stride: 1, proto: "http/1.1" },
      );
      assert.equal(
        report.gaps.reduce((sum, gaps) => sum + gaps),
        19,
      );
      assert.ok(report.head! <= report.byte! && report.byte! <= report.at[0]! && report.last! <= report.dur);
      assert.ok(report.paint! >= report.at[0]! && report.wait! >= 0 && report.hidden === 0);
      assert.equal(report.busy != null, name === "chromium");
      assert.equal(collector.reports.length, 1);
      assert.deepEqual(await tab.evaluate(() => complaints), []);
    },
  );

  const binary = Uint8Array.from({ length: 3000 }, (_, index) => (index * 7919) >> 3);
  const cuts = [1, 2, 3, 1000, 1001, 2999].map((start, index, all) => binary.subarray(start, all[index + 1]));
  play(
    "every byte arrives as it was sent, wherever it was cut",
    {
      routes: {
        "/stream": async (_, response) => {
          response.writeHead(200, SSE);
          await drip(response, cuts, 5);
          response.end();
        },
      },
    },
    async ({ tab }) => {
      const received = await tab.evaluate(async () => {
        const read = async (get: typeof fetch) =>
          Array.from(new Uint8Array(await new Response((await get("/stream")).body).arrayBuffer()));
        return [await read(beacon.fetch), await read(fetch)];
      });
      assert.deepEqual(received[0], [...binary.subarray(1)]);
      assert.deepEqual(received[1], received[0]);
    },
  );

  play(
    "a response keeps its identity, and what is not a stream is not touched",
    {
      routes: {
        "/stream": dripping(1),
        "/json": (_, response) => response.writeHead(200, { "Content-Type": "application/json" }).end('{"a": 1}'),
        "/moved": (_, response) => response.writeHead(307, { Location: "/stream" }).end(),
      },
    },
    async ({ tab, site, collector }) => {
      const seen = await tab.evaluate(async () => {
        const json = await beacon.fetch("/json");
        const stream = await beacon.fetch("/moved");
        const { url, type, redirected, status } = stream;
        const isResponse = stream instanceof Response;
        return {
          json: [Object.getOwnPropertyNames(json), await json.json()],
          stream: [url, type, redirected, status, isResponse, stream.bodyUsed, await read(stream), stream.bodyUsed],
        };
      });
      assert.deepEqual(seen.json, [[], { a: 1 }]);
      assert.deepEqual(seen.stream, [
        `${site.origin}/stream`,
        "basic",
        true,
        200,
        true,
        false,
        ":\n\ndata: 0\n\n",
        true,
      ]);
      assert.equal((await collector.report()).count, 1);
      assert.equal(collector.reports.length, 1);
    },
  );

  const cancelled = stalling();
  play("reader.cancel() reaches the server", { routes: { "/stream": cancelled.route } }, async ({ tab, collector }) => {
    await tab.evaluate(async () => {
      const reader = (await beacon.fetch("/stream")).body!.getReader();
      await reader.read();
      await reader.cancel();
    });
    await cancelled.gone;
    assert.equal((await collector.report()).end, "stopped");
  });

  const aborted = stalling();
  play(
    "an AbortController stops the stream with the page's own error",
    { routes: { "/stream": aborted.route } },
    async ({ tab, collector }) => {
      const error = await tab.evaluate(async () => {
        const controller = new AbortController();
        const reader = (await beacon.fetch("/stream", { signal: controller.signal })).body!.getReader();
        await reader.read();
        const rest = (async () => {
          while (!(await reader.read()).done);
        })();
        controller.abort();
        return rest.then(String, (error) => error.name);
      });
      assert.equal(error, "AbortError");
      await aborted.gone;
      assert.equal((await collector.report()).end, "stopped");
    },
  );

  play(
    "a stream aborted before its headers is reported, a request that asks for none is not",
    { routes: { "/silent": silent } },
    async ({ tab, site, collector }) => {
      const errors = await tab.evaluate(() => {
        const abort = (init: RequestInit) => {
          const controller = new AbortController();
          setTimeout(() => controller.abort(), 50);
          return beacon.fetch("/silent", { ...init, signal: controller.signal }).catch((error) => error.name);
        };
        return Promise.all([
          abort({ headers: { Accept: "text/event-stream" } }),
          abort({ method: "POST", body: '{"stream": true}' }),
          abort({ method: "POST", body: '{"stream": false}' }),
        ]);
      });
      assert.deepEqual(errors, ["AbortError", "AbortError", "AbortError"]);
      const wanted = site.requests.filter(
        ({ headers }) => headers.accept === "text/event-stream" || headers["content-length"] === "16",
      );
      for (const { headers } of wanted) {
        const report = await collector.report(({ sid }) => sid === headers["x-stream-id"]);
        assert.deepEqual([report.end, report.count, report.at, report.status], ["stopped", 0, [], undefined]);
      }
      assert.equal(collector.reports.length, 2);
    },
  );

  play(
    "a stream that breaks is an error to the page and in the report",
    {
      routes: {
        "/stream": async (_, response) => {
          response.writeHead(200, SSE);
          await drip(response, events(2), 10);
          response.destroy();
        },
      },
    },
    async ({ tab, collector }) => {
      const errors = await tab.evaluate(() => {
        const fail = (get: typeof fetch) =>
          get("/stream")
            .then(read)
            .then(String, (error) => error.name);
        return Promise.all([fail(beacon.fetch), fail(fetch)]);
      });
      assert.equal(errors[0], "TypeError");
      assert.equal(errors[1], "TypeError");
      const report = await collector.report();
      assert.deepEqual([report.end, report.count], ["error", 2]);
    },
  );

  play(
    "a request that fails rejects as it would without a beacon",
    { routes: { "/gone": (request) => request.socket.destroy() } },
    async ({ tab, collector }) => {
      const failures = await tab.evaluate(() => {
        const fail = (get: typeof fetch) =>
          get("/gone", { headers: { Accept: "text/event-stream" } }).then(
            String,
            (error) => `${error.name}: ${error.message}`,
          );
        return Promise.all([fail(beacon.fetch), fail(fetch)]);
      });
      assert.equal(failures[0], failures[1]);
      assert.equal((await collector.report()).end, "error");
    },
  );

  play(
    "a failed stream is reported with its status, and its body can still be read",
    { routes: { "/stream": (_, response) => response.writeHead(503).end("busy") } },
    async ({ tab, collector }) => {
      const text = await tab.evaluate(async () =>
        (await beacon.fetch("/stream", { headers: { Accept: "text/event-stream" } })).text(),
      );
      assert.equal(text, "busy");
      const report = await collector.report();
      assert.deepEqual([report.end, report.status, report.count], ["error", 503, 0]);
    },
  );

  play(
    "a stream that has arrived before the page begins to read it is not reported",
    { routes: { "/stream": dripping(3), "/finished": (_, response) => setTimeout(() => response.end(), 300) } },
    async ({ tab, collector }) => {
      const text = await tab.evaluate(async () => {
        const answer = await beacon.fetch("/stream");
        await fetch("/finished");
        const text = await read(answer);
        await read(await beacon.fetch("/stream"));
        return text;
      });
      assert.equal(text, [":\n\n", ...events(3)].join(""));
      await collector.report();
      assert.equal(collector.reports.length, 1);
    },
  );

  play(
    "text() of a stream stays native and is not reported",
    { routes: { "/stream": dripping(3) } },
    async ({ tab, collector }) => {
      const text = await tab.evaluate(async () => {
        const text = await (await beacon.fetch("/stream")).text();
        await read(await beacon.fetch("/stream"));
        return text;
      });
      assert.equal(text, [":\n\n", ...events(3)].join(""));
      await collector.report();
      assert.equal(collector.reports.length, 1);
    },
  );

  play("clone() and tee() still work", { routes: { "/stream": dripping(5) } }, async ({ tab, collector }) => {
    const texts = await tab.evaluate(async () => {
      const answer = await beacon.fetch("/stream");
      const cloned = await Promise.all([answer, answer.clone()].map(read));
      const [left, right] = (await beacon.fetch("/stream")).body!.tee();
      return [...cloned, ...(await Promise.all([new Response(left), new Response(right)].map(read)))];
    });
    assert.deepEqual(texts, Array(4).fill([":\n\n", ...events(5)].join("")));
    await collector.report(() => collector.reports.length === 2);
    assert.deepEqual(
      collector.reports.map(({ end, count }) => [end, count]),
      [
        ["done", 5],
        ["done", 5],
      ],
    );
  });

  play(
    "a BYOB reader gets every byte and the end",
    { routes: { "/stream": dripping(5) } },
    async ({ tab, collector }) => {
      const text = await tab.evaluate(async () => {
        const reader = (await beacon.fetch("/stream")).body!.getReader({ mode: "byob" });
        let text = "";
        for (;;) {
          const { done, value } = await reader.read(new Uint8Array(7));
          if (done) return text;
          text += new TextDecoder().decode(value);
        }
      });
      assert.equal(text, [":\n\n", ...events(5)].join(""));
      assert.equal((await collector.report()).end, "done");
    },
  );

  const finished = later();
  play(
    "a page that reads late is measured by arrival",
    {
      routes: {
        "/stream": async (request, response) => {
          await dripping(20)(request, response);
          finished.come();
        },
        "/finished": (_, response) => finished.comes.then(() => response.end()),
      },
    },
    async ({ tab, collector }) => {
      const readMs = await tab.evaluate(async () => {
        const startMs = performance.now();
        const reader = (await beacon.fetch("/stream")).body!.getReader();
        await reader.read();
        await fetch("/finished");
        const lateMs = performance.now() - startMs;
        while (!(await reader.read()).done);
        return lateMs;
      });
      const { at, count } = await collector.report();
      assert.equal(count, 20);
      assert.ok(at[15]! < readMs, `event 15 arrived at ${at[15]} ms, read from ${readMs} ms on`);
    },
  );

  play(
    "a blocked main thread is told where the browser can tell",
    { routes: { "/stream": dripping(10) } },
    async ({ tab, collector }) => {
      await tab.evaluate(async () => {
        const reader = (await beacon.fetch("/stream")).body!.getReader();
        await reader.read();
        // A task of its own, so that the browser sees it end.
        await new Promise<void>((resolve) =>
          setTimeout(() => {
            for (const untilMs = performance.now() + 200; performance.now() < untilMs;);
            resolve();
          }),
        );
        while (!(await reader.read()).done);
      });
      const { busy } = await collector.report();
      if (name === "chromium") assert.ok(busy! > 0);
      else assert.equal(busy, undefined);
    },
  );

  play(
    "two streams at once are two reports",
    { routes: { "/a": dripping(4), "/b": dripping(9) } },
    async ({ tab, site, collector }) => {
      await tab.evaluate(() => Promise.all(["/a", "/b"].map((path) => beacon.fetch(path).then(read))));
      await collector.report(() => collector.reports.length === 2);
      const counts = Object.fromEntries(collector.reports.map(({ sid, count }) => [sid, count]));
      for (const { path, headers } of site.requests)
        assert.equal(counts[String(headers["x-stream-id"])], path === "/a" ? 4 : 9);
    },
  );

  play(
    "the server's id wins",
    {
      routes: {
        "/stream": (_, response) =>
          response.writeHead(200, { ...SSE, "X-Stream-Id": "made-by-server" }).end("data: 1\n\n"),
      },
    },
    async ({ tab, collector }) => {
      await tab.evaluate(async () => read(await beacon.fetch("/stream")));
      assert.equal((await collector.report()).sid, "made-by-server");
    },
  );

  play(
    "other streams are counted in bytes",
    {
      routes: {
        "/lines": async (_, response) => {
          response.writeHead(200, { "Content-Type": "application/x-ndjson" });
          await drip(response, ['{"a":1}\n', '{"a":2}\n'], 20);
          response.end();
        },
      },
    },
    async ({ tab, collector }) => {
      await tab.evaluate(async () => read(await beacon.fetch("/lines")));
      const { unit, count, stride, at } = await collector.report();
      assert.deepEqual([unit, count, stride, at.length], ["bytes", 16, 1, 16]);
    },
  );

  play(
    "a compressed stream is counted decoded and says its encoding and its sizes on the wire and decoded",
    {
      routes: {
        "/stream": (_, response) =>
          response.writeHead(200, { ...SSE, "Content-Encoding": "gzip" }).end(gzipSync(events(4).join(""))),
      },
    },
    async ({ tab, collector }) => {
      assert.equal(await tab.evaluate(async () => read(await beacon.fetch("/stream"))), events(4).join(""));
      const { count, enc, wire, body } = await collector.report();
      const text = events(4).join("");
      assert.deepEqual([count, enc, wire, body], [4, "gzip", gzipSync(text).length, text.length]);
    },
  );

  play(
    "a Request keeps its method, headers and body",
    {
      routes: {
        "/stream": async (request, response) => {
          const [body] = await once(request, "data");
          response.writeHead(200, SSE).end(`data: ${request.method} ${request.headers["x-own"]} ${body}\n\n`);
        },
      },
    },
    async ({ tab, site, collector }) => {
      const texts = await tab.evaluate(async () => {
        const init = { method: "POST", headers: { "X-Own": "1" }, body: "hello" };
        const answers = [
          await beacon.fetch(new Request("/stream", init)),
          await beacon.fetch(new URL("/stream", location.href), init),
        ];
        return Promise.all(answers.map(read));
      });
      assert.deepEqual(texts, Array(2).fill("data: POST 1 hello\n\n"));
      for (const { headers } of site.requests) await collector.report(({ sid }) => sid === headers["x-stream-id"]);
    },
  );

  play(
    "a sample of none reports nothing and changes nothing",
    { routes: { "/stream": dripping(2), "/all": dripping(1) } },
    async ({ tab, collector }) => {
      const text = await tab.evaluate(async (url) => {
        const { createBeacon } = (globalThis as unknown as { streamgap: { createBeacon: (options: object) => Beacon } })
          .streamgap;
        const text = await read(await createBeacon({ url, sample: 0 }).fetch("/stream"));
        await read(await beacon.fetch("/all"));
        return text;
      }, collector.url);
      assert.equal(text, [":\n\n", ...events(2)].join(""));
      assert.equal((await collector.report()).count, 1);
      assert.equal(collector.reports.length, 1);
    },
  );
});
