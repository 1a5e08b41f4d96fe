// Owns sending a customer on to another queue, by keyboard, and meeting them there.
import { expect, test } from "@playwright/test";
import { composer, log, meet, part, write } from "./conversation.ts";
import { expectAccessible, picture } from "./looking.ts";

test("an agent transfers a customer to another queue", async ({ browser, colorScheme }) => {
  const contexts = [await browser.newContext({ colorScheme }), await browser.newContext({ colorScheme })] as const;
  const [visitor, agent] = [await contexts[0].newPage(), await contexts[1].newPage()];
  // A queue that nobody allows, until the server has refused it once.
  let isAstray = true;
  await agent.routeWebSocket("**/v2/socket", (page) => {
    const server = page.connectToServer();
    page.onMessage((frame) => {
      const text = frame.toString();
      const isMeant = isAstray && text.includes('"transfer_audience"');
      server.send(isMeant ? JSON.stringify({ ...(JSON.parse(text) as object), queue_id: "00nowhere" }) : frame);
      if (isMeant) isAstray = false;
    });
  });
  await meet(visitor, agent);
  await write(visitor, "It doesn't fit. Can I send it back?");
  await expect(log(agent).getByText("send it back")).toBeVisible();
  const name = (await agent.getByRole("heading", { level: 1 }).textContent())!;

  await test.step("where to is chosen, and what is refused says why", async () => {
    await agent.getByRole("button", { name: "Transfer" }).press("Enter");
    const dialog = agent.getByRole("dialog", { name: `Transfer ${name} to another queue` });
    const target = dialog.getByRole("radio", { name: "Orders and returns" });
    await expect(target).toBeChecked();
    await expect(target).toBeFocused();
    await expectAccessible(agent);
    await picture(agent, "agent-9-transfer");
    await agent.keyboard.press("Escape");
    await expect(dialog).toBeHidden();
    await agent.keyboard.press("Enter");
    await target.press("Enter");
    await expect(dialog.getByRole("alert")).toContainText("can't be transferred there");
    await expectAccessible(agent);
    await picture(agent, "agent-10-transfer-refused");
    await dialog.getByRole("button", { name: "Transfer" }).press("Enter");
    await expect(agent.getByText(`${name} now waits in Orders and returns`)).toBeVisible();
    await expect(agent.getByRole("main")).toBeFocused();
    await expect(agent.getByText("Nothing chosen")).toBeVisible();
    await expectAccessible(agent);
    await picture(agent, "agent-11-transferred");
  });

  await test.step("the customer waits there, and is met again", async () => {
    await expect(visitor.getByRole("heading", { name: "You are next" })).toBeVisible();
    await expect(visitor.getByRole("dialog").getByText("Orders and returns")).toBeVisible();
    await picture(visitor, "visitor-10-transferred");
    await agent.getByRole("navigation").getByRole("link", { name: "Orders and returns" }).click();
    await agent.getByRole("button", { name: "Pick next" }).click();
    await expect(composer(agent)).toBeFocused();
    await expect(log(agent)).toContainText("Transferred from Customer service");
    await write(agent, "Of course you can.");
    await expect(log(visitor).getByText("Of course you can.")).toBeVisible();
    await picture(agent, "agent-12-met-again");
  });

  await part(agent);
  await Promise.all(contexts.map((context) => context.close()));
});
