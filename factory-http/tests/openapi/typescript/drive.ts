// What a program in TypeScript does with types that are made from the document: if the document misleads them, this does
// not compile, and if it misleads us, it fails. Run by the test on a live server.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type KnownEvent = components["schemas"]["KnownEvent"];

const { FACTORY_URL, FACTORY_TOKEN, FACTORY_MODEL } = process.env;
assert(FACTORY_URL && FACTORY_TOKEN && FACTORY_MODEL);
const api = createClient<paths>({
  baseUrl: FACTORY_URL,
  headers: { authorization: `Bearer ${FACTORY_TOKEN}` },
});

/** Returns what was asked for, or throws the problem. */
function asked<T>(answer: { data?: T; error?: components["schemas"]["Problem"] }): T {
  if (answer.data === undefined) throw new Error(answer.error?.detail ?? "no answer");
  return answer.data;
}

/** Returns every event of a run, page by page. */
async function events(run_id: number): Promise<KnownEvent[]> {
  const found: KnownEvent[] = [];
  let after = 0;
  for (;;) {
    const page = asked(
      await api.GET("/runs/{run_id}/events", { params: { path: { run_id }, query: { after, limit: 5 } } }),
    );
    found.push(...page.items.map((event) => event as KnownEvent));
    if (page.next_cursor === null) return found;
    after = Number(page.next_cursor);
  }
}

/** Says what an event tells, for which its type is enough. */
function told(event: KnownEvent): string | undefined {
  switch (event.type) {
    case "RUN_CREATED":
      return `goal ${event.payload.goal}`;
    case "PLAN_GENERATED":
      return `plan ${event.payload.plan.steps.map((step) => step.title).join()}`;
    case "CHECK_FINISHED":
      return `green ${event.payload.green}`;
    default:
      return undefined;
  }
}

const projects = asked(await api.GET("/projects"));
const project = projects.items.find((project) => project.name === "sample");
assert(project);

const done = asked(
  await api.POST("/runs", {
    body: { project_id: project.id, goal: "Do it.", model: FACTORY_MODEL, approval: "unattended", protocol: "native" },
    params: { header: { "Idempotency-Key": "typescript-1" } },
  }),
);
for (let status = done.status; status !== "COMPLETE"; ) {
  assert(status === "QUEUED" || status === "RUNNING", status);
  await new Promise((resolve) => setTimeout(resolve, 50));
  status = asked(await api.GET("/runs/{run_id}", { params: { path: { run_id: done.id } } })).status;
}
const happened = await events(done.id);
assert.deepEqual(happened.map((event) => event.seq), happened.map((_, index) => index + 1));
assert.deepEqual(happened.flatMap((event) => told(event) ?? []), ["goal Do it.", "plan do it", "green true"]);
const changes = asked(await api.GET("/runs/{run_id}/diff", { params: { path: { run_id: done.id } } }));
assert.deepEqual(changes.items.map((file) => [file.path, file.kind]), [["done.txt", "added"]]);

const run = asked(await api.POST("/runs", { body: { project_id: project.id, goal: "Wait." } }));
const path = { run_id: run.id };
assert.equal(asked(await api.POST("/runs/{run_id}/pause", { params: { path } })).status, "PAUSED");
assert(["QUEUED", "RUNNING"].includes(asked(await api.POST("/runs/{run_id}/resume", { params: { path } })).status));
const raised = asked(
  await api.PUT("/runs/{run_id}/budget", { params: { path }, body: { calls: { at_most: 7 }, tokens: "unlimited" } }),
);
assert.deepEqual(raised.budget.calls, { at_most: 7 });
assert.equal(asked(await api.POST("/runs/{run_id}/stop", { params: { path } })).status, "STOPPED");
const refused = await api.POST("/runs/{run_id}/pause", { params: { path } });
assert.equal(refused.response.status, 409);
assert.equal(refused.error?.code, "not_allowed");
assert(refused.error?.allowed && !refused.error.allowed.includes("pause"));
console.log("all of it works");
