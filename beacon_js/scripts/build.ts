// Builds dist/. With --check it builds elsewhere and fails if what is committed differs.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build as bundle, type Format } from "esbuild";
import { minify } from "terser";
import { BUDGETS_BYTES } from "./budgets.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, "dist");
const ENTRIES: readonly { source: string; file: string; format: Format }[] = [
  { source: "index", file: "index.js", format: "esm" },
  { source: "fetch", file: "fetch.js", format: "esm" },
  { source: "iife", file: "beacon.iife.js", format: "iife" },
  { source: "auto", file: "auto.js", format: "iife" },
];
const DECLARATIONS = ["api", "index", "fetch", "auto"];
// Names that never leave the bundle; those of the wire and of the API must stay as they are.
const INTERNAL_NAMES = /^(isKnown|elapsedMs|half|arrive)$/;

const compile = async ({ source, format }: (typeof ENTRIES)[number]): Promise<string> => {
  const { outputFiles } = await bundle({
    entryPoints: [join(ROOT, "src", `${source}.ts`)],
    bundle: true,
    write: false,
    minify: true,
    format,
    target: "es2022",
    mangleProps: INTERNAL_NAMES,
  });
  const { code } = await minify(outputFiles[0]!.text, {
    module: format === "esm",
    toplevel: true,
    ecma: 2020,
    compress: { passes: 3, keep_fargs: false, unsafe_arrows: true, unsafe_methods: true },
  });
  return `${code}\n`;
};

const writeDeclarations = (folder: string): void => {
  const all = mkdtempSync(join(tmpdir(), "streamgap-types-"));
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, "-p", join(ROOT, "tsconfig.types.json"), "--outDir", all], {
    stdio: "inherit",
  });
  for (const name of DECLARATIONS) cpSync(join(all, `${name}.d.ts`), join(folder, `${name}.d.ts`));
  rmSync(all, { recursive: true });
};

const buildInto = async (folder: string): Promise<void> => {
  for (const entry of ENTRIES) writeFileSync(join(folder, entry.file), await compile(entry));
  writeDeclarations(folder);
};

const printSizes = (folder: string): void => {
  for (const { file } of ENTRIES) {
    const code = readFileSync(join(folder, file));
    const gzip = gzipSync(code, { level: 9 }).length;
    const sri = createHash("sha384").update(code).digest("base64");
    console.log(
      `${file}: ${code.length} B, gzip ${gzip} B of ${BUDGETS_BYTES[file]}, brotli ${brotliCompressSync(code).length} B, sha384-${sri}`,
    );
  }
};

const differences = (folder: string): string[] => {
  const names = new Set([...readdirSync(folder), ...readdirSync(DIST)]);
  const read = (where: string, name: string): string =>
    readdirSync(where).includes(name) ? readFileSync(join(where, name), "utf8") : "";
  return [...names].filter((name) => read(folder, name) !== read(DIST, name));
};

const fresh = mkdtempSync(join(tmpdir(), "streamgap-dist-"));
await buildInto(fresh);
if (process.argv.includes("--check")) {
  const stale = differences(fresh);
  if (stale.length) {
    console.error(`dist: expected what src builds to, got other ${stale.join(", ")}; run npm run build and commit it`);
    process.exitCode = 1;
  }
} else {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST);
  cpSync(fresh, DIST, { recursive: true });
  printSizes(DIST);
}
rmSync(fresh, { recursive: true });
