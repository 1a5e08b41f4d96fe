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

type Chosen = [name: string, buffer: Buffer, mimeType?: string];

async function choose(page: Page, ...files: Chosen[]): Promise<void> {
  const input = files.map(([name, buffer, mimeType = "application/octet-stream"]) => ({ name, buffer, mimeType }));
  await page.getByLabel("Send files").setInputFiles(input);
}

/** What a person drags or copies from elsewhere. Says whether the page has taken it. */
async function give(target: Locator, event: "dragover" | "drop" | "paste", name: string, buffer: Buffer): Promise<boolean> {
  return target.evaluate(
    (element, { event, name, base64 }) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
      const init = { bubbles: true, cancelable: true, composed: true };
      const wasTaken = !element.dispatchEvent(
        event === "paste"
          ? new ClipboardEvent("paste", { ...init, clipboardData: data })
          : new DragEvent(event, { ...init, dataTransfer: data }),
      );
      return wasTaken;
    },
    { event, name, base64: buffer.toString("base64") },
  );
}

/** Pictures of a page, also as a phone shows it. */
async function pictures(page: Page, name: string): Promise<void> {
  await picture(page, name);
  const before = page.viewportSize()!;
  await page.setViewportSize({ width: 390, height: 760 });
  await picture(page, `${name}-phone`);
  await page.setViewportSize(before);
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
    await choose(visitor, ["coat.png", image]);
    for (const page of [visitor, agent]) {
      const shown = log(page).getByRole("img", { name: "Picture: coat.png" });
      await expect.poll(() => shown.evaluate((element: HTMLImageElement) => element.naturalWidth)).toBeGreaterThan(0);
    }
    await expect(onTheirWay(visitor)).toBeHidden();
  });

  await test.step("what the agent drops and pastes is sent in this order", async () => {
    const target = agent.getByText("Drop files to send them");
    await give(log(agent), "dragover", "first.txt", Buffer.from("first"));
    await expect(target).toBeVisible();
    await picture(agent, "agent-13-drop");
    await give(log(agent), "drop", "first.txt", Buffer.from("first"));
    await expect(target).toBeHidden();
    // Beside the conversation it must not lead away from the page.
    expect(await give(agent.getByRole("navigation"), "drop", "stray.txt", Buffer.from("stray"))).toBe(true);
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
    await choose(visitor, ["large.bin", large], ["receipt.pdf", Buffer.from("%PDF-1.4"), "application/pdf"], ["label.png", image, "image/png"]);
    const bar = onTheirWay(visitor).getByRole("progressbar", { name: "Progress of large.bin" });
    await expect.poll(() => bar.evaluate((element: HTMLProgressElement) => element.value)).toBeGreaterThan(0.25);
    link.pace = CRAWL;
    await expect(onTheirWay(agent)).toContainText("is sending large.bin");
    await expectAccessible(visitor);
    await expectAccessible(agent);
    await expect(visitor.getByRole("status").getByText("large.bin: 25 %")).toBeAttached();
    await pictures(visitor, "visitor-8-sending");
    await pictures(agent, "agent-7-sending");
    link.cut();
    await expect(onTheirWay(visitor)).toContainText("Reconnecting…");
    await picture(visitor, "visitor-9-cut");
    link.pace = undefined;
    link.mend();
    for (const page of [visitor, agent]) {
      await expect(log(page).getByRole("link", { name: "Download large.bin 24 MB" })).toBeVisible({ timeout: 60_000 });
      await expect(log(page).getByRole("link", { name: "Download receipt.pdf 8 B" })).toBeVisible();
      await expect(log(page).getByRole("img", { name: "Picture: label.png" })).toBeVisible();
      await expect(onTheirWay(page)).toBeHidden();
    }
    await expect(agent.getByRole("navigation").getByRole("link", { name: "Picture" })).toBeVisible();
    expect(uploads("HEAD").length).toBeGreaterThan(0);
    expect(uploads("PATCH").filter((request) => Number(request.headers()["upload-offset"]) > 0).length).toBeGreaterThan(0);
    const download = agent.waitForEvent("download");
    await log(agent).getByRole("link", { name: "Download large.bin 24 MB" }).click();
    const came = await readFile(await (await download).path());
    expect(createHash("sha256").update(came).digest("hex")).toBe(createHash("sha256").update(large).digest("hex"));
  });

  await test.step("what is cancelled is gone on both sides", async () => {
    link.pace = CRAWL;
    await choose(visitor, ["mistake.bin", large]);
    await expect(onTheirWay(agent)).toContainText("mistake.bin");
    await visitor.getByRole("button", { name: "Cancel mistake.bin" }).click();
    await expect(onTheirWay(visitor)).toBeHidden();
    await expect(composer(visitor)).toBeFocused();
    await expect.poll(() => uploads("DELETE").length).toBe(1);
    await expect(onTheirWay(agent)).toBeHidden();
    await expect(log(agent).getByText("mistake.bin")).toBeHidden();
    link.pace = undefined;
  });

  await test.step("what the server refuses says why, and can be tried again where that makes sense", async () => {
    const refusals = [
      { status: 413, contentType: "text/plain", body: "at most 1 GB" },
      { status: 507, contentType: "text/plain", body: "1 kB is left" },
    ];
    const isCreation = (request: Request) => request.method() === "POST";
    await agent.route("**/files/**", (route) =>
      isCreation(route.request()) && refusals[0] ? route.fulfill(refusals.shift()) : route.fallback(),
    );
    await choose(agent, ["huge.txt", Buffer.from("huge")], ["more.txt", Buffer.from("more")]);
    await expect(onTheirWay(agent)).toContainText("It is too large. The server says: at most 1 GB");
    await expectAccessible(agent);
    await expect(onTheirWay(agent)).toContainText("There is no room left for files. The server says: 1 kB is left");
    await pictures(agent, "agent-8-refused");
    await expect(agent.getByRole("button", { name: "Try again with huge.txt" })).toBeHidden();
    await agent.getByRole("button", { name: "Remove huge.txt from the list" }).press("Enter");
    await expect(composer(agent)).toBeFocused();
    await agent.getByRole("button", { name: "Try again with more.txt" }).press("Enter");
    await expect(composer(agent)).toBeFocused();
    // Nobody scrolled, so the newest is in sight.
    await expect(log(visitor).getByRole("link", { name: "Download more.txt 4 B" })).toBeInViewport();
    await expect(onTheirWay(agent)).toBeHidden();
  });

  await test.step("what is on its way when the conversation ends stops, and says so", async () => {
    link.pace = CRAWL;
    await choose(visitor, ["late.bin", large]);
    await expect(onTheirWay(agent)).toContainText("late.bin");
    await part(agent);
    await expect(onTheirWay(visitor).getByRole("alert")).toHaveText("The conversation has ended.");
    await expect.poll(() => uploads("DELETE").length).toBe(2);
    await expect(visitor.getByLabel("Send files")).toBeHidden();
    await expectAccessible(visitor);
    await picture(visitor, "visitor-11-ended-midway");
  });

  await Promise.all(contexts.map((context) => context.close()));
  link.close();
});
