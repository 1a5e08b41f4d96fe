// Owns the console's entry.
import { render } from "preact";
import "../ui/tokens.css";
import "../ui/chat.css";
import "../ui/files.css";
import { ignoreStrayFiles } from "../ui/DropArea.tsx";
import { App } from "./App.tsx";
import "./console.css";
import { start } from "./model.ts";
import { watchRoute } from "./route.ts";

watchRoute();
ignoreStrayFiles();
start();
render(<App />, document.getElementById("app")!);
