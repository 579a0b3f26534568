// graphql-ws alone: `node plain.js`.

import { createResumingClient, isExpired } from "./resume.js";
import { SCREEN, UPDATES, authorization, showScreen, showUpdate, url } from "./orders.js";

const client = createResumingClient({
  url: url.replace(/^http/, "ws"),
  connectionParams: { authorization },
});

async function ask(query) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

const follow = (after) =>
  new Promise((resolve, reject) => {
    client.subscribe(
      { query: UPDATES, variables: { after } },
      {
        next: ({ data, errors }) => (errors ? reject(errors) : showUpdate(data)),
        error: reject,
        complete: resolve,
      },
    );
  });

for (;;) {
  const screen = await ask(SCREEN);
  showScreen(screen);
  await follow(screen.updatesCursor).catch((error) => {
    if (!isExpired(error)) throw error;
  });
}
