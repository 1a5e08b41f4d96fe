// Owns that files which have an origin of their own are sent there and shown from there.
import { expect, test, type Page } from "@playwright/test";
import { demo, log, meet, part } from "./conversation.ts";

test("files are sent to their own origin, and shown from there", async ({ browser, colorScheme }) => {
  const at = demo("LEVEE_APART");
  const contexts = [await browser.newContext({ colorScheme }), await browser.newContext({ colorScheme })] as const;
  const [visitor, agent] = [await contexts[0].newPage(), await contexts[1].newPage()];
  const complaints: string[] = [];
  for (const page of [visitor, agent]) {
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  }
  await visitor.goto(`${at.url}/demo/`);
  const image = await visitor.screenshot({ clip: { x: 78, y: 390, width: 234, height: 160 } });
  await meet(visitor, agent, at);
  const written = new Set<string>();
  const shown = async (page: Page, name: string) => {
    const picture = log(page).getByRole("img", { name });
    await expect.poll(() => picture.evaluate((element: HTMLImageElement) => element.naturalWidth)).toBeGreaterThan(0);
    const { origin } = new URL((await picture.getAttribute("src"))!);
    expect(origin).not.toBe(at.url);
    return origin;
  };
  for (const [from, name] of [[visitor, "coat.png"], [agent, "again.png"]] as const) {
    from.on("request", (request) => request.method() === "PATCH" && written.add(new URL(request.url()).origin));
    await from.getByLabel("Send files").setInputFiles({ name, buffer: image, mimeType: "image/png" });
    const origins = [await shown(visitor, `Picture: ${name}`), await shown(agent, `Picture: ${name}`)];
    expect([...written]).toEqual([origins[0]]);
    expect(origins[1]).toBe(origins[0]);
  }
  expect(complaints).toEqual([]);
  // This server has a limit, too.
  await visitor.getByLabel("Send files").setInputFiles({ name: "film.mp4", buffer: Buffer.alloc(1_000_001), mimeType: "video/mp4" });
  await expect(visitor.getByRole("alert").getByText("It is too large. Files can have up to 1 MB.")).toBeVisible();
  await part(agent);
  await Promise.all(contexts.map((context) => context.close()));
});
