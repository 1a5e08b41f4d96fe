// Owns the words about files that both faces share. Apart from the rest, for the widget loads them with the cards.

export const fileTexts = {
  download: "Download",
  gone: "No longer available",
  picture: (name: string) => `Picture: ${name}`,
};
