// Owns what every scene needs: its settings, pictures of a page, and whether a page is accessible.
import { AxeBuilder } from "@axe-core/playwright";
import { expect, test, type Page } from "@playwright/test";

export function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.LEVEE_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${test.info().project.name}-${name}.png` });
}

export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
}
