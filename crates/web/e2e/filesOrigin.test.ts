// Owns that files which have an origin of their own are sent there and shown from there.
import { expect, test, type Page } from "@playwright/test";
import { composer, demo, log, meet, part } from "./conversation.ts";
import { expectAccessible, picture } from "./looking.ts";

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
  // This server looks at files and has a limit, too.
  const refuse = async (name: string, buffer: Buffer, why: string) => {
    await visitor.getByLabel("Send files").setInputFiles({ name, buffer, mimeType: "text/plain" });
    await expect(visitor.getByRole("alert").getByText(why)).toBeVisible();
  };
  await refuse("secret.txt", Buffer.from("NOBODY shall see this"), "The server didn't accept it.");
  await refuse("film.mp4", Buffer.alloc(1_000_001), "It is too large. Files can have up to 1 MB.");
  await expectAccessible(visitor);
  await picture(visitor, "visitor-12-refused");
  await expect(visitor.getByRole("button", { name: /^Try again with/ })).toBeHidden();
  await expect(log(agent).getByText("secret.txt")).toBeHidden();
  for (const name of ["secret.txt", "film.mp4"]) {
    await visitor.getByRole("button", { name: `Remove ${name} from the list` }).press("Enter");
    await expect(composer(visitor)).toBeFocused();
  }
  await expect(visitor.getByRole("list", { name: "Files on their way" })).toBeHidden();
  await part(agent);
  await Promise.all(contexts.map((context) => context.close()));
});
