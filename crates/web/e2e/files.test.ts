// Owns how files look to whoever gets them. What the server would say of files is said for it.
import { expect, test, type Page } from "@playwright/test";
import { log, meet, part, write } from "./conversation.ts";
import { expectAccessible, picture, required } from "./looking.ts";

type Header = Record<string, unknown>;

const FILES = [
  { file_id: "view", file_attrs: { name: "view.png", type: "image/png", size: 48_213, thumbnail: { width: 240, height: 160 } } },
  { file_id: "bill", file_attrs: { name: "bill \u202e2026.pdf", type: "application/pdf", size: 1_204_000 } },
  { file_id: "gone", file_attrs: { name: "old.zip", type: "application/zip", size: 5_000_000_000 } },
];

/** Makes files of what the page sends, and answers what it asks of them. */
async function withFiles(page: Page, image: Buffer): Promise<Header[]> {
  const asked: Header[] = [];
  await page.routeWebSocket("**/v2/socket", (page) => {
    const server = page.connectToServer();
    let sends = false;
    page.onMessage((frame) => {
      const header = frame.toString().includes('"action"') ? (JSON.parse(frame.toString()) as Header) : {};
      const { action, action_id, file_id } = header;
      if (action === "describe_file") {
        asked.push(header);
        page.send(JSON.stringify({ action_id, ...answer(String(file_id)) }));
      } else if (action === "send_message") {
        sends = true;
        server.send(JSON.stringify({ ...header, message_type: "ninchat.com/file" }));
      } else {
        server.send(sends ? JSON.stringify({ text: "Here they are", files: FILES }) : frame);
        sends = false;
      }
    });
  });
  // The whole picture is shown in a tab of its own.
  await page.context().route("**/files/*", (route) => route.fulfill({ body: image, contentType: "image/png" }));
  return asked;
}

function answer(id: string): Header {
  if (id === "gone") return { event: "error", error_type: "file_not_found" };
  const url = { file_url: `/files/${id}`, thumbnail_url: id === "view" ? "/files/thumbnail" : undefined };
  const url_expiry = Date.now() / 1000 + 3600;
  return { event: "file_found", file_id: id, file_attrs: FILES.find(({ file_id }) => file_id === id)?.file_attrs, ...url, url_expiry };
}

test("files are shown where they are in the conversation", async ({ browser, colorScheme }) => {
  const contexts = [await browser.newContext({ colorScheme }), await browser.newContext({ colorScheme })] as const;
  const [visitor, agent] = [await contexts[0].newPage(), await contexts[1].newPage()];
  await visitor.goto(`${required("LEVEE_URL")}/demo/`);
  const image = await visitor.screenshot({ clip: { x: 76, y: 388, width: 240, height: 160 } });
  const asked = [await withFiles(visitor, image), await withFiles(agent, image)];
  const scripts: string[] = [];
  visitor.on("request", (request) => scripts.push(new URL(request.url()).pathname));
  await meet(visitor, agent);
  expect(scripts).not.toContain("/widget/files.js");
  await write(agent, "turned into files");
  for (const page of [visitor, agent]) {
    await expect(log(page).getByText("Here they are")).toBeVisible();
    const view = log(page).getByRole("link", { name: "Picture: view.png" });
    await expect(view).toHaveAttribute("href", /\/files\/view$/);
    await expect(view).toHaveAttribute("rel", "noopener");
    const shown = view.getByRole("img");
    await expect.poll(() => shown.evaluate((element: HTMLImageElement) => element.naturalWidth)).toBe(240);
    const bill = log(page).getByRole("link", { name: "Download bill 2026.pdf 1.2 MB" });
    await expect(bill).toHaveAttribute("download", "bill 2026.pdf");
    await expect(log(page).getByText("old.zip")).toBeVisible();
    await expect(log(page).getByText("No longer available")).toBeVisible();
    // The newest is in sight although the picture needed room.
    await expect(log(page).getByText("old.zip")).toBeInViewport();
    await expectAccessible(page);
  }
  expect(scripts).toContain("/widget/files.js");
  for (const each of asked) expect(each.map(({ file_id }) => file_id).sort()).toEqual(["bill", "gone", "view"]);
  await picture(visitor, "visitor-7-files");
  await picture(agent, "agent-6-files");

  const download = agent.waitForEvent("download");
  await log(agent).getByRole("link", { name: /^Download bill/ }).focus();
  await agent.keyboard.press("Enter");
  expect((await download).suggestedFilename()).toBe("bill 2026.pdf");
  const opened = contexts[0].waitForEvent("page");
  await log(visitor).getByRole("link", { name: "Picture: view.png" }).click();
  await expect(await opened).toHaveURL(/\/files\/view$/);
  await part(agent);
  await Promise.all(contexts.map((context) => context.close()));
});
