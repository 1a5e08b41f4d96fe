// Owns where the unit tests are.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["{client,ui,console,widget}/**/*.test.ts"] } });
