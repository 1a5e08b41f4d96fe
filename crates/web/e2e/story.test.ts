// Owns the story of one conversation, played in two real browsers by clicks and keys alone.
import { expect, test, type BrowserContext, type Page } from "@playwright/test";
import { BreakableLink } from "./breakableLink.ts";
import { composer, log, write } from "./conversation.ts";
import { expectAccessible, picture, required } from "./looking.ts";

async function expectOnce(page: Page, text: string): Promise<void> {
  await expect(log(page).getByText(text, { exact: true })).toHaveCount(1);
}

async function lose(link: BreakableLink, context: BrowserContext): Promise<void> {
  await context.setOffline(true);
  link.cut();
}

async function regain(link: BreakableLink, context: BrowserContext): Promise<void> {
  link.mend();
  await context.setOffline(false);
}

test("a visitor and an agent talk, through reloads and lost connections", async ({ browser, colorScheme }) => {
  const server = required("LEVEE_URL");
  const visitorLink = await BreakableLink.to(server);
  const agentLink = await BreakableLink.to(server);
  const visitorContext = await browser.newContext({ colorScheme });
  const agentContext = await browser.newContext({ colorScheme });
  const visitor = await visitorContext.newPage();
  const agent = await agentContext.newPage();
  let queueName = "";

  await test.step("the visitor opens the chat and chooses a queue", async () => {
    await visitor.goto(`${visitorLink.url}/demo/`);
    await visitor.getByRole("button", { name: "Open chat" }).click();
    const choice = visitor.getByRole("dialog").getByRole("listitem").getByRole("button", { disabled: false }).first();
    await expect(choice).toBeVisible();
    queueName = (await choice.locator(".queue-name").textContent()) ?? "";
    await expectAccessible(visitor);
    await picture(visitor, "visitor-1-queues");
    await choice.click();
    await expect(visitor.getByRole("heading", { name: "You are next" })).toBeVisible();
    await expectAccessible(visitor);
    await picture(visitor, "visitor-2-waiting");
  });

  await test.step("a reload keeps the place in the queue", async () => {
    await visitor.reload();
    await expect(visitor.getByRole("heading", { name: "You are next" })).toBeVisible();
  });

  await test.step("the agent logs in by keyboard and picks the visitor", async () => {
    await agent.goto(`${agentLink.url}/console/`);
    await expectAccessible(agent);
    await picture(agent, "agent-1-login");
    await agent.getByLabel("E-mail address").fill(required("LEVEE_AGENT_EMAIL"));
    await agent.keyboard.press("Tab");
    await agent.keyboard.type(required("LEVEE_AGENT_PASSWORD"));
    await agent.keyboard.press("Enter");
    const queue = agent.getByRole("navigation").getByRole("link", { name: queueName });
    await expect(queue).toContainText("1 person waiting");
    await queue.click();
    await expect(agent.getByRole("heading", { name: queueName })).toBeVisible();
    await expect(agent.getByRole("listitem").getByRole("button", { name: /^Pick / })).toHaveCount(1);
    await expectAccessible(agent);
    await picture(agent, "agent-2-queue");
    await agent.getByRole("button", { name: "Pick next" }).click();
    await expect(composer(agent)).toBeFocused();
    await expect(agent.getByText("Customer's data")).toBeVisible();
    await expect(log(visitor)).toContainText("Conversation started");
    await expect(log(agent)).not.toContainText("Conversation started");
  });

  await test.step("each sees the other write", async () => {
    await composer(agent).pressSequentially("Good morning");
    await expect(visitor.getByText("is writing")).toBeVisible();
    await composer(agent).press("Enter");
    await expect(visitor.getByText("is writing")).toBeHidden();
    await expectOnce(visitor, "Good morning");
    await composer(visitor).pressSequentially("Hello,");
    await expect(agent.getByText("is writing")).toBeVisible();
    await composer(visitor).press("Shift+Enter");
    await composer(visitor).pressSequentially("where is my parcel?");
    await picture(visitor, "visitor-3-writing");
    await composer(visitor).press("Enter");
    await expect(log(agent).getByText("where is my parcel?")).toHaveText("Hello,\nwhere is my parcel?");
    await expect(composer(visitor)).toHaveValue("");
    await expectAccessible(visitor);
    await expectAccessible(agent);
    await picture(visitor, "visitor-4-conversation");
    await picture(agent, "agent-3-conversation");
  });

  await test.step("both reload and see the conversation again", async () => {
    await Promise.all([visitor.reload(), agent.reload()]);
    for (const page of [visitor, agent]) {
      await expectOnce(page, "Good morning");
      await expect(log(page).getByText("where is my parcel?")).toHaveCount(1);
    }
  });

  await test.step("what is written without a connection arrives once", async () => {
    await Promise.all([lose(visitorLink, visitorContext), lose(agentLink, agentContext)]);
    for (const page of [visitor, agent]) await expect(page.getByText("Reconnecting…")).toBeVisible();
    await write(visitor, "visitor, offline, one");
    await write(visitor, "visitor, offline, two");
    await write(agent, "agent, offline");
    await expect(log(visitor).getByText("Sending…")).toBeVisible();
    await picture(visitor, "visitor-5-offline");
    await picture(agent, "agent-4-offline");
    await Promise.all([regain(visitorLink, visitorContext), regain(agentLink, agentContext)]);
    for (const page of [visitor, agent]) {
      for (const text of ["visitor, offline, one", "visitor, offline, two", "agent, offline"]) await expectOnce(page, text);
      await expect(page.getByText("Reconnecting…")).toBeHidden();
      await expect(page.getByText("Sending…")).toBeHidden();
    }
  });

  await test.step("one side is away while the other writes", async () => {
    await lose(visitorLink, visitorContext);
    await write(agent, "are you still there?");
    await expectOnce(agent, "are you still there?");
    await regain(visitorLink, visitorContext);
    await expectOnce(visitor, "are you still there?");
  });

  await test.step("what arrives unseen is counted", async () => {
    await agent.getByRole("navigation").getByRole("link", { name: queueName }).first().click();
    await write(visitor, "yes, thank you");
    await expect(agent).toHaveTitle(/^\(1\)/);
    await agent.getByRole("navigation").getByRole("link", { name: "1 unread message" }).click();
    await expectOnce(agent, "yes, thank you");
    await expect(agent).not.toHaveTitle(/^\(/);
  });

  await test.step("the agent ends the conversation", async () => {
    await agent.getByRole("button", { name: "End conversation" }).click();
    await agent.getByRole("dialog").getByRole("button", { name: "End conversation" }).click();
    await expect(visitor.getByText("The conversation has ended")).toBeVisible();
    await expect(composer(visitor)).toBeHidden();
    await expect(composer(agent)).toBeHidden();
    await expectAccessible(visitor);
    await expectAccessible(agent);
    await picture(visitor, "visitor-6-ended");
    await picture(agent, "agent-5-ended");
    await agent.getByRole("button", { name: "Hide" }).click();
    await expect(agent.getByText("Nothing chosen")).toBeVisible();
    await visitor.getByRole("button", { name: "Start again" }).click();
    await expect(visitor.getByRole("button", { name: queueName })).toBeVisible();
  });

  await Promise.all([visitorContext.close(), agentContext.close()]);
  visitorLink.close();
  agentLink.close();
});
