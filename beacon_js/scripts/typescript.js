// Lets node run TypeScript: `node --import ./scripts/typescript.js file.ts`.
import { register } from "node:module";

register("./typescript_hooks.js", import.meta.url);
