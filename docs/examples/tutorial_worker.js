// A worker in Node.js with Express that counts words.
// npm install && TASKDIST_TOKEN=tdn_... node tutorial_worker.js NAME PORT [DISPATCHER_URL]
import express from "express";
import { setTimeout as pause } from "node:timers/promises";

const [name, port, dispatcher = "http://127.0.0.1:8000"] = process.argv.slice(2);
const headers = {
  Authorization: `Bearer ${process.env.TASKDIST_TOKEN}`,
  "Content-Type": "application/json",
};

async function call(path, message) {
  const body = JSON.stringify({ nodeId: name, ...message });
  for (;;) {
    // Whatever is to be said outlives a restart of the dispatcher.
    try {
      const answer = await fetch(dispatcher + path, { method: "POST", headers, body, redirect: "error" });
      if (answer.status < 500) return await answer.json();
    } catch (error) {
      console.error(path, String(error));
    }
    await pause(1000);
  }
}

function run({ text }) {
  return { words: text.split(/\s+/).filter(Boolean).length };
}

const app = express();
app.use(express.json({ limit: "1mb" }));

app.post("/task", async (request, response) => {
  const { taskId, payload } = request.body;
  response.sendStatus(202);
  let outcome;
  try {
    outcome = { result: await run(payload) };
  } catch (error) {
    outcome = { error: { type: error.name, message: error.message, traceback: error.stack } };
  }
  await call("/result", { taskId, ...outcome });
});

app.listen(Number(port), "127.0.0.1", async () => {
  let reply = {};
  for (;;) {
    // An answer without nodeId (409) means that the dispatcher does not know this worker (any more).
    const about = { url: `http://127.0.0.1:${port}`, types: ["task"] };
    reply = await call("nodeId" in reply ? "/heartbeat" : "/register", about);
    await pause(5000);
  }
});
