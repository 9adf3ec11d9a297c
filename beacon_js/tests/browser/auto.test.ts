import assert from "node:assert/strict";
import { openSite } from "../harness/site.ts";
import { dripping, SSE } from "../harness/streams.ts";
import { inEachBrowser } from "../harness/suite.ts";

const routes = { "/stream": dripping(3) };
const bySource = (collector: string): string => `<script src="/auto.js" data-url="${collector}"></script>`;
const byGlobal = (collector: string): string =>
  `<script>globalThis.streamgapAuto = { url: "${collector}" }</script><script type="module" src="/auto.js"></script>`;

inEachBrowser("auto", (play) => {
  for (const [way, head] of Object.entries({ "a script tag": bySource, "a module": byGlobal }))
    play(`${way} measures the page's own fetch and EventSource`, { routes, head }, async ({ tab, collector }) => {
      const isEventSource = await tab.evaluate(async () => {
        const body = (await fetch("/stream")).body!;
        for (const reader = body.getReader(); !(await reader.read()).done;);
        const source = new EventSource("/stream");
        source.onerror = () => source.close();
        return [source instanceof EventSource, EventSource.CLOSED, source.constructor === EventSource];
      });
      assert.deepEqual(isEventSource, [true, 2, true]);
      const byFetch = await collector.report(({ via }) => via === "fetch");
      const bySource = await collector.report(({ via }) => via === "eventsource");
      assert.deepEqual([byFetch.end, byFetch.count, bySource.count], ["done", 3, 3]);
      assert.notEqual(byFetch.sid, bySource.sid);
    });

  play("requests to other origins are not touched", { routes, head: bySource }, async ({ tab, collector }) => {
    const api = await openSite({
      head: "",
      routes: {
        "/stream": (_, response) =>
          response.writeHead(200, { ...SSE, "Access-Control-Allow-Origin": "*" }).end("event: done\ndata: 1\n\n"),
      },
    });
    try {
      await tab.evaluate(async (origin) => {
        for (const reader = (await fetch(`${origin}/stream`)).body!.getReader(); !(await reader.read()).done;);
        const source = new EventSource(`${origin}/stream`);
        await new Promise((resolve) => source.addEventListener("done", resolve));
        source.close();
        for (const reader = (await fetch("/stream")).body!.getReader(); !(await reader.read()).done;);
      }, api.origin);
      await collector.report();
      assert.equal(collector.reports.length, 1);
      assert.deepEqual(
        api.requests.map(({ path }) => path),
        ["/stream", "/stream"],
      );
    } finally {
      api.close();
    }
  });
});
