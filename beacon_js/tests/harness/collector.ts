import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { ClientHalf, End } from "../../src/wire.ts";

export type Report = ClientHalf & { end: End; final: boolean };

/** Stands where the collector stands and keeps what it is sent. */
export interface Collector {
  url: string;
  bodies: string[];
  reports: Report[];
  /** The first report, come or to come, that satisfies `wanted`; by default the first final one. */
  report: (wanted?: (report: Report) => boolean) => Promise<Report>;
  close: () => void;
}

const HANG_MS = 20_000;

export const openCollector = async (): Promise<Collector> => {
  const bodies: string[] = [];
  const reports: Report[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    response.writeHead(204, { "Access-Control-Allow-Origin": "*" }).end();
    bodies.push(Buffer.concat(parts).toString());
    reports.push(JSON.parse(bodies.at(-1)!));
    server.emit("report");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/beacon`,
    bodies,
    reports,
    report: async (wanted = ({ final }) => final) => {
      const signal = AbortSignal.timeout(HANG_MS);
      for (;;) {
        const found = reports.find(wanted);
        if (found) return found;
        await once(server, "report", { signal }).catch(() => {
          throw new Error(`collector: expected another report, got only ${bodies.join(" ") || "none"}`);
        });
      }
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};

const REFUSALS = `
import sys
from streamgap.core.wire import parse_client
for line in sys.stdin.buffer:
    try:
        parse_client(line.rstrip(b"\\n"))
    except Exception as error:
        print(error, line.decode(), sep=": ", end="")
`;

/** Why the real parser of the collector refuses any of `bodies`; empty if it takes them all. */
export const refusals = (bodies: readonly string[]): string => {
  const python =
    process.env["STREAMGAP_PYTHON"] ?? fileURLToPath(new URL("../../../.venv/bin/python", import.meta.url));
  const run = spawnSync(python, ["-c", REFUSALS], {
    input: bodies.map((body) => `${body}\n`).join(""),
    encoding: "utf8",
  });
  return run.error ? String(run.error) : run.stdout + run.stderr;
};
