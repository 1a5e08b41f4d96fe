// Owns how the story is played: Debian's Chromium, one worker, pictures only where they are asked for.
import { defineConfig } from "@playwright/test";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export default defineConfig({
  testDir: ".",
  outputDir: "../node_modules/.cache/e2e",
  // Machines that test are busy.
  timeout: 300_000,
  workers: 1,
  reporter: "list",
  expect: { timeout: 30_000 },
  // Contrast is measured in each.
  projects: [
    { name: "light", use: { colorScheme: "light" } },
    { name: "dark", use: { colorScheme: "dark" } },
  ],
  use: {
    viewport: { width: 1180, height: 760 },
    launchOptions: { executablePath: process.env.LEVEE_CHROMIUM ?? "/usr/bin/chromium", args: FLAGS },
  },
});
