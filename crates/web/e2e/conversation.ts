// Owns bringing a visitor and an agent together, for scenes about what they do then.
import { expect, type Locator, type Page } from "@playwright/test";
import { required } from "./looking.ts";

export const composer = (page: Page): Locator => page.getByRole("textbox", { name: "Your message" });
export const log = (page: Page): Locator => page.getByRole("log");

export async function write(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await composer(page).press("Enter");
}

/** A demo that runs. */
export interface Demo {
  url: string;
  email: string;
  password: string;
}

/** The demo that variables with this prefix describe. */
export function demo(prefix: "LEVEE" | "LEVEE_APART" = "LEVEE"): Demo {
  const [url, email, password] = ["URL", "AGENT_EMAIL", "AGENT_PASSWORD"].map((name) => required(`${prefix}_${name}`));
  return { url: url!, email: email!, password: password! };
}

/** The visitor waits in the first queue, and the agent accepts them. */
export async function meet(visitor: Page, agent: Page, at = demo(), visitorServer = at.url): Promise<void> {
  await visitor.goto(`${visitorServer}/demo/`);
  await visitor.getByRole("button", { name: "Open chat" }).click();
  const choice = visitor.getByRole("dialog").getByRole("listitem").getByRole("button", { disabled: false }).first();
  const queueName = (await choice.locator(".queue-name").textContent()) ?? "";
  await choice.click();
  await agent.goto(`${at.url}/console/`);
  await agent.getByLabel("E-mail address").fill(at.email);
  await agent.getByLabel("Password").fill(at.password);
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
