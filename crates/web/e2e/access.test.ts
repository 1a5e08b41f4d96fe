// Owns what a link with an access key leads to, in a fresh browser by clicks and keys alone.
import { on, once } from "node:events";
import { expect, test, type Page } from "@playwright/test";
import { WebSocket } from "ws";
import { BreakableLink } from "./breakableLink.ts";
import { expectAccessible, picture, required } from "./looking.ts";

type Params = Record<string, unknown>;

type Act = (action: string, params: Params) => Promise<Params>;

/** Does something in a session of its own. */
async function inSession<T>(login: Params, work: (act: Act) => Promise<T>): Promise<T> {
  const socket = new WebSocket(`${required("LEVEE_URL").replace(/^http/, "ws")}/v2/socket`, "ninchat.com");
  const events = on(socket, "message");
  await once(socket, "open");
  let action_id = 0;
  const act: Act = async (action, params) => {
    action_id += 1;
    socket.send(JSON.stringify({ action, ...params, action_id }));
    // Not in a loop over them: leaving it would end them all.
    for (;;) {
      const { value } = (await events.next()) as { value: [unknown] };
      const event = JSON.parse(String(value[0])) as Params;
      expect(event.event, JSON.stringify(event)).not.toBe("error");
      if (event.action_id === action_id || event.event === "session_created") return event;
    }
  };
  await act("create_session", { message_types: [], ...login });
  const outcome = await work(act);
  socket.send(JSON.stringify({ action: "close_session" }));
  socket.close();
  return outcome;
}

/** What answers an action of the agent's. */
function asAgent(action: string, params: Params): Promise<Params> {
  const login = { identity_type: "email", identity_name: required("LEVEE_AGENT_EMAIL") };
  return inSession({ ...login, identity_auth: required("LEVEE_AGENT_PASSWORD") }, (act) => act(action, params));
}

async function keyTo(params: Params): Promise<string> {
  return (await asAgent("create_access", params)).access_key as string;
}

const open = (page: Page, key: string, server = required("LEVEE_URL")) => page.goto(`${server}/console/#/access/${key}`);
const heading = (page: Page, name: string | RegExp) => page.getByRole("heading", { level: 1, name, exact: true });

test("an invitation lets one guest in", async ({ page }) => {
  const { channel_id } = await asAgent("create_channel", { channel_attrs: { name: "Night shift" } });
  const key = await keyTo({ access_type: "channel", channel_id });
  await open(page, key);
  await expect(heading(page, "You are invited")).toBeFocused();
  await expect(page.getByText("invites you to Night shift")).toBeVisible();
  await expectAccessible(page);
  await picture(page, "access-1-invited");
  await page.getByRole("button", { name: "Log in and join" }).click();
  const focused = await page.getByRole("button", { name: "Back to the invitation" }).evaluate(async (button: HTMLElement) => {
    button.click();
    await Promise.resolve();
    return document.activeElement?.textContent;
  });
  // Already, not after the next paint: by then somebody quick writes, and would lose what they wrote.
  expect(focused).toBe("You are invited");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Gwen");
  await page.keyboard.press("Enter");
  await expect(heading(page, "You are in")).toBeFocused();
  await expectAccessible(page);
  await picture(page, "access-2-joined");
  await page.getByRole("button", { name: "Go on to the console" }).click();
  await expect(page.getByText("Gwen")).toBeVisible();
  await open(page, key);
  await expect(heading(page, "This link was used before")).toBeFocused();
  await expectAccessible(page);
  await picture(page, "access-3-used");
});

test("an agent logs in on the way and joins", async ({ page }) => {
  // Somebody else's channel, for the agent would be in one of their own already; and it lasts as long as they are there.
  await inSession({ user_attrs: { name: "Dora" } }, async (act) => {
    const { channel_id } = await act("create_channel", { channel_attrs: { name: "Day shift" } });
    const { access_key } = await act("create_access", { access_type: "channel", channel_id });
    await open(page, access_key as string);
    await page.getByRole("button", { name: "Log in and join" }).click();
    await page.getByLabel("E-mail address").fill(required("LEVEE_AGENT_EMAIL"));
    await page.getByLabel("Password").fill(required("LEVEE_AGENT_PASSWORD"));
    await page.keyboard.press("Enter");
    await expect(heading(page, "You are invited")).toBeFocused();
    await page.getByRole("button", { name: /^Join/ }).click();
    await expect(heading(page, "You are in")).toBeVisible();
  });
});

test("an agent who is in the channel already hears that", async ({ page }) => {
  const { channel_id } = await asAgent("create_channel", { channel_attrs: { name: "Day shift" } });
  await open(page, await keyTo({ access_type: "session" }));
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(heading(page, "You are logged in")).toBeFocused();
  await open(page, await keyTo({ access_type: "channel", channel_id }));
  await page.getByRole("button", { name: /^Join/ }).click();
  // They made it: the key stays good for somebody else.
  await expect(heading(page, "You are in already")).toBeFocused();
});

test("a key to a session logs in, and one that nobody knows leads nowhere", async ({ page }) => {
  await open(page, await keyTo({ access_type: "session" }));
  await expect(heading(page, /^Log in as /)).toBeFocused();
  await expectAccessible(page);
  await picture(page, "access-4-session");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(heading(page, "You are logged in")).toBeFocused();
  await page.getByRole("button", { name: "Go on to the console" }).click();
  await expect(page.getByText("Nothing chosen")).toBeVisible();
  await expect(page.getByRole("navigation").getByRole("link").first()).toBeVisible();
  await page.evaluate(() => (location.hash = "#/access/guessed"));
  await expect(heading(page, "This link leads nowhere")).toBeFocused();
  await expect(page.getByRole("button", { name: "Try again" })).toBeHidden();
  await expectAccessible(page);
});

test("without a connection a link can be tried again", async ({ page }) => {
  const link = await BreakableLink.to(required("LEVEE_URL"));
  await page.goto(`${link.url}/console/`);
  await expect(heading(page, "Log in to Levee")).toBeVisible();
  link.cut();
  await page.evaluate(() => (location.hash = "#/access/guessed"));
  await expect(heading(page, "No connection to the server")).toBeFocused();
  await expectAccessible(page);
  await picture(page, "access-5-offline");
  link.mend();
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(heading(page, "This link leads nowhere")).toBeVisible();
  link.close();
});

test("what only mails lead to is answered by keyboard", async ({ page }) => {
  // Nothing mails here, so what the server would say of such keys is said for it.
  const answers: Params[] = [];
  await page.route("**/v2/call", async (route) => {
    const asked = route.request().postDataJSON() as Params;
    answers.push(asked);
    const kind = asked.access_key === "verify" ? "identity_verify" : "identity_auth_reset";
    const found = { event: "access_found", access_type: kind, identity_name: "ann@example.org", user_attrs: { name: "Ann" } };
    await route.fulfill({ json: asked.action === "describe_access" ? found : { event: "identity_updated" } });
  });
  await open(page, "verify");
  await expect(heading(page, "Is this your e-mail address?")).toBeFocused();
  await expectAccessible(page);
  await picture(page, "access-6-verify");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByText("The address is confirmed")).toBeVisible();
  expect(answers.at(-1)).toEqual({ action: "verify_identity", access_key: "verify", identity_accept: true });

  await open(page, "reset");
  await expect(page.getByText("ann@example.org")).toBeVisible();
  await page.getByLabel("New password", { exact: true }).fill("one");
  await page.getByLabel("New password again").fill("two");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toHaveText("The two passwords differ.");
  await expectAccessible(page);
  await picture(page, "access-7-reset");
  await page.getByLabel("New password again").fill("one");
  await page.keyboard.press("Enter");
  await expect(heading(page, "Your password is changed")).toBeFocused();
  expect(answers.at(-1)).toEqual({ action: "reset_identity_auth", access_key: "reset", identity_auth_new: "one" });
});

test("a forgotten password is asked for from the login page", async ({ page }) => {
  await page.goto(`${required("LEVEE_URL")}/console/`);
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await expect(heading(page, "Choose a new password")).toBeFocused();
  await page.getByLabel("E-mail address").fill("ann@example.org");
  await page.keyboard.press("Enter");
  // The demo has no mail server.
  await expect(page.getByRole("alert")).toContainText("This server sends no mail");
  await expectAccessible(page);
  await picture(page, "access-8-forgot");
  await page.route("**/v2/call", (route) => route.fulfill({ json: { event: "access_created" } }));
  await page.keyboard.press("Enter");
  await expect(heading(page, "Look into your mail")).toBeFocused();
  await expectAccessible(page);
  await page.getByRole("link", { name: "Back to logging in" }).click();
  await expect(heading(page, "Log in to Levee")).toBeVisible();
});
