// Owns sending files from both pages: chosen, dropped and pasted, cut off and gone on with, cancelled and refused.
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect, test, type Locator, type Page, type Request } from "@playwright/test";
import { BreakableLink } from "./breakableLink.ts";
import { composer, demo, log, meet, part } from "./conversation.ts";
import { expectAccessible, picture, required } from "./looking.ts";

const LARGE = 24_000_000;
/** Bytes a second: some of a large file comes soon, and then all else can be done before the rest has come. */
const PACE = 6_000_000;
const CRAWL = 50_000;

const onTheirWay = (page: Page): Locator => page.getByRole("list", { name: "Files on their way" });

async function choose(page: Page, name: string, buffer: Buffer): Promise<void> {
  await page.getByLabel("Send files").setInputFiles({ name, buffer, mimeType: "application/octet-stream" });
}

/** What a person drags or copies from elsewhere. */
async function give(target: Locator, event: "drop" | "paste", name: string, buffer: Buffer): Promise<void> {
  await target.evaluate(
    (element, { event, name, base64 }) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
      const init = { bubbles: true, cancelable: true, composed: true };
      element.dispatchEvent(
        event === "drop"
          ? new DragEvent("drop", { ...init, dataTransfer: data })
          : new ClipboardEvent("paste", { ...init, clipboardData: data }),
      );
    },
    { event, name, base64: buffer.toString("base64") },
  );
}

test("files are sent from both pages, through a lost connection", async ({ browser, colorScheme }) => {
  const link = await BreakableLink.to(required("LEVEE_URL"));
  const contexts = [await browser.newContext({ colorScheme }), await browser.newContext({ colorScheme })] as const;
  const [visitor, agent] = [await contexts[0].newPage(), await contexts[1].newPage()];
  const requests: Request[] = [];
  visitor.on("request", (request) => requests.push(request));
  const uploads = (method: string) => requests.filter((request) => request.method() === method && request.url().includes("/files/"));
  await visitor.goto(`${required("LEVEE_URL")}/demo/`);
  const image = await visitor.screenshot({ clip: { x: 76, y: 388, width: 240, height: 160 } });
  await meet(visitor, agent, demo(), link.url);

  await test.step("a picture that the visitor chooses is seen by both", async () => {
    await choose(visitor, "coat.png", image);
    for (const page of [visitor, agent]) {
      const shown = log(page).getByRole("img", { name: "Picture: coat.png" });
      await expect.poll(() => shown.evaluate((element: HTMLImageElement) => element.naturalWidth)).toBeGreaterThan(0);
    }
    await expect(onTheirWay(visitor)).toBeHidden();
  });

  await test.step("what the agent drops and pastes is sent in this order", async () => {
    await give(composer(agent), "drop", "first.txt", Buffer.from("first"));
    await give(composer(agent), "paste", "second.png", image);
    for (const page of [visitor, agent]) {
      await expect(log(page).getByRole("link", { name: /^Download first.txt 5 B$/ })).toBeVisible();
      await expect(log(page).getByRole("img", { name: "Picture: second.png" })).toBeVisible();
    }
    const names = await log(agent).getByRole("link").allTextContents();
    expect(names.findIndex((name) => name.includes("first.txt"))).toBe(1);
  });

  const large = randomBytes(LARGE);
  await test.step("a large file goes on where it was when the connection is back", async () => {
    link.pace = PACE;
    await choose(visitor, "large.bin", large);
    const bar = onTheirWay(visitor).getByRole("progressbar", { name: "Progress of large.bin" });
    await expect.poll(() => bar.evaluate((element: HTMLProgressElement) => element.value)).toBeGreaterThan(0.2);
    link.pace = CRAWL;
    await expect(onTheirWay(agent)).toContainText("is sending large.bin");
    await expectAccessible(visitor);
    await expectAccessible(agent);
    await picture(visitor, "visitor-8-sending");
    await picture(agent, "agent-7-sending");
    link.cut();
    await expect(onTheirWay(visitor)).toContainText("Waiting for the connection…");
    await picture(visitor, "visitor-9-cut");
    link.pace = undefined;
    link.mend();
    for (const page of [visitor, agent]) {
      await expect(log(page).getByRole("link", { name: "Download large.bin 24 MB" })).toBeVisible({ timeout: 60_000 });
      await expect(onTheirWay(page)).toBeHidden();
    }
    expect(uploads("HEAD").length).toBeGreaterThan(0);
    expect(Number(uploads("PATCH").at(-1)!.headers()["upload-offset"])).toBeGreaterThan(0);
    const download = agent.waitForEvent("download");
    await log(agent).getByRole("link", { name: "Download large.bin 24 MB" }).click();
    const came = await readFile(await (await download).path());
    expect(createHash("sha256").update(came).digest("hex")).toBe(createHash("sha256").update(large).digest("hex"));
  });

  await test.step("what is cancelled is gone on both sides", async () => {
    link.pace = CRAWL;
    await choose(visitor, "mistake.bin", large);
    await expect(onTheirWay(agent)).toContainText("mistake.bin");
    await visitor.getByRole("button", { name: "Cancel mistake.bin" }).click();
    await expect(onTheirWay(visitor)).toBeHidden();
    await expect(composer(visitor)).toBeFocused();
    await expect.poll(() => uploads("DELETE").length).toBe(1);
    await expect(onTheirWay(agent)).toBeHidden();
    await expect(log(agent).getByText("mistake.bin")).toBeHidden();
    link.pace = undefined;
  });

  await test.step("what the server refuses says why, and can be tried again", async () => {
    const isCreation = (request: Request) => request.method() === "POST";
    await agent.route("**/files/**", (route) =>
      isCreation(route.request()) ? route.fulfill({ status: 413, contentType: "text/plain", body: "at most 1 GB" }) : route.fallback(),
    );
    await choose(agent, "huge.txt", Buffer.from("huge"));
    await expect(onTheirWay(agent)).toContainText("It is too large. The server says: at most 1 GB");
    await expectAccessible(agent);
    await picture(agent, "agent-8-refused");
    await agent.unroute("**/files/**");
    await agent.getByRole("button", { name: "Try again with huge.txt" }).click();
    await expect(log(visitor).getByRole("link", { name: "Download huge.txt 4 B" })).toBeVisible();
    await expect(onTheirWay(agent)).toBeHidden();
  });

  await part(agent);
  await expect(visitor.getByLabel("Send files")).toBeHidden();
  await Promise.all(contexts.map((context) => context.close()));
  link.close();
});
