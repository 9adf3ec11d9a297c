import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { openCollector, type Collector } from "./collector.ts";
import { openSite, withBeacon, type Route, type Site } from "./site.ts";

export const BROWSERS = ["chromium", "firefox"] as const;

export type BrowserName = (typeof BROWSERS)[number];

export const launch = (name: BrowserName): Promise<Browser> =>
  name === "chromium"
    ? puppeteer.launch({
        executablePath: process.env["STREAMGAP_CHROMIUM"] ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
      })
    : puppeteer.launch({
        browser: "firefox",
        executablePath: process.env["STREAMGAP_FIREFOX"] ?? "/usr/bin/firefox-esr",
      });

/** One tab on one site that reports to one collector. */
export interface Stage {
  tab: Page;
  site: Site;
  collector: Collector;
  /** Errors that nobody in the page caught. */
  uncaught: () => Promise<string[]>;
  close: () => Promise<void>;
}

/** What a test may set up differently. `head` is given the URL of the collector. */
export interface Setting {
  routes: Record<string, Route>;
  head?: (collector: string) => string;
  headers?: (collector: string) => Record<string, string>;
}

export const openStage = async (
  browser: Browser,
  { routes, head = withBeacon, headers = () => ({}) }: Setting,
): Promise<Stage> => {
  const collector = await openCollector();
  const site = await openSite({ head: head(collector.url), routes, headers: headers(collector.url) });
  const tab = await browser.newPage();
  await tab.goto(site.origin);
  const close = async (): Promise<void> => {
    if (!tab.isClosed()) await tab.close();
    site.close();
    collector.close();
  };
  const uncaught = (): Promise<string[]> =>
    tab.evaluate(() => (globalThis as unknown as { uncaught: string[] }).uncaught);
  return { tab, site, collector, uncaught, close };
};
