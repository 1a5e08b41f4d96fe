// Owns starting the stand-in server for looking at the pages without the real one: `npm run fake`.
import { runnerImport } from "vite";

const { module } = await runnerImport(new URL("./fake-server.ts", import.meta.url).pathname);
const port = Number(process.env.PORT ?? 8199);
await module.serve(port);
console.log(`http://localhost:${port}/demo/ and http://localhost:${port}/console/ (${module.AGENT.email}, ${module.AGENT.password})`);
