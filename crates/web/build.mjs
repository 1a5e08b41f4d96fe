// Owns the build: the console as a page with assets, the widget as one script, the demo page as it is.
import { cpSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const shared = { configFile: false, logLevel: "warn", envDir: false, oxc: { jsx: { runtime: "automatic", importSource: "preact" } } };

rmSync(here("dist"), { recursive: true, force: true });

await build({
  ...shared,
  root: here("console"),
  base: "./",
  build: { outDir: here("dist/console"), target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});

await build({
  ...shared,
  root: here("widget"),
  define: { "process.env.NODE_ENV": '"production"' },
  build: {
    outDir: here("dist"),
    emptyOutDir: false,
    target: "es2022",
    lib: { entry: "main.tsx", formats: ["iife"], name: "LeveeWidget", fileName: () => "widget.js" },
  },
});

// What shows files is loaded by the widget when there are some. Its own name stays, what it loads is named by content.
await build({
  ...shared,
  root: here("widget"),
  base: "./",
  build: {
    outDir: here("dist/widget"),
    emptyOutDir: false,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      input: here("widget/files.tsx"),
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "files.js", chunkFileNames: "assets/[name]-[hash].js" },
    },
  },
});

cpSync(here("demo"), here("dist/demo"), { recursive: true });

for (const name of ["widget.js", "widget/files.js"]) {
  const size = gzipSync(readFileSync(here(`dist/${name}`))).length;
  console.log(`${name}: ${(size / 1000).toFixed(2)} kB gzipped`);
}
