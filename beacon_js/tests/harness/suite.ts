import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "puppeteer-core";
import { BROWSERS, launch, openStage, type BrowserName, type Setting, type Stage } from "./browsers.ts";
import { refusals } from "./collector.ts";

/** Declares one test that is played on a stage of its own. It fails if the page met an error that nobody caught. */
export type Play = (promise: string, setting: Setting, act: (stage: Stage, browser: Browser) => Promise<void>) => void;

/** Runs a suite in each browser, and at its end shows every report that was sent to the collector's real parser. */
export const inEachBrowser = (subject: string, declare: (play: Play, name: BrowserName) => void): void => {
  for (const name of BROWSERS)
    describe(`${subject} in ${name}`, () => {
      const bodies: string[] = [];
      let browser: Browser;
      before(async () => {
        browser = await launch(name);
      });
      after(async () => {
        await browser.close();
        assert.equal(refusals(bodies), "");
      });
      declare((promise, setting, act) => {
        test(promise, async () => {
          const stage = await openStage(browser, setting);
          try {
            await act(stage, browser);
            assert.deepEqual(await stage.uncaught(), []);
          } finally {
            bodies.push(...stage.collector.bodies);
            await stage.close();
          }
        });
      }, name);
    });
};
