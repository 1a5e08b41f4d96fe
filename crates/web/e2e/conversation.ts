// Owns bringing a visitor and an agent together, for scenes about what they do then.
import { expect, type Locator, type Page } from "@playwright/test";
import { required } from "./looking.ts";

export const composer = (page: Page): Locator => page.getByRole("textbox", { name: "Your message" });
export const log = (page: Page): Locator => page.getByRole("log");

export async function write(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await composer(page).press("Enter");
}

/** The visitor waits in the first queue, and the agent accepts them. */
export async function meet(visitor: Page, agent: Page, visitorServer = required("LEVEE_URL")): Promise<void> {
  await visitor.goto(`${visitorServer}/demo/`);
  await visitor.getByRole("button", { name: "Open chat" }).click();
  const choice = visitor.getByRole("dialog").getByRole("listitem").getByRole("button", { disabled: false }).first();
  const queueName = (await choice.locator(".queue-name").textContent()) ?? "";
  await choice.click();
  await agent.goto(`${required("LEVEE_URL")}/console/`);
  await agent.getByLabel("E-mail address").fill(required("LEVEE_AGENT_EMAIL"));
  await agent.getByLabel("Password").fill(required("LEVEE_AGENT_PASSWORD"));
  await agent.keyboard.press("Enter");
  await agent.getByRole("navigation").getByRole("link", { name: queueName }).first().click();
  await agent.getByRole("button", { name: "Pick next" }).click();
  await expect(composer(agent)).toBeFocused();
  await expect(composer(visitor)).toBeVisible();
}

/** The agent ends the conversation and puts it away, so that the next scene's is the only one. */
export async function part(agent: Page): Promise<void> {
  await agent.getByRole("button", { name: "End conversation" }).click();
  await agent.getByRole("dialog").getByRole("button", { name: "End conversation" }).click();
  await agent.getByRole("button", { name: "Hide" }).click();
  await expect(agent.getByText("Nothing chosen")).toBeVisible();
}
