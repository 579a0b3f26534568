// urql: `node urql.js`.

import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { createResumingClient, isExpired } from "./resume.js";
import { SCREEN, UPDATES, authorization, showScreen, showUpdate, url } from "./orders.js";

const socket = createResumingClient({
  url: url.replace(/^http/, "ws"),
  connectionParams: { authorization },
});

const client = new Client({
  url,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization } },
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }),
      }),
    }),
  ],
});

const follow = (after) =>
  new Promise((resolve, reject) => {
    client.subscription(UPDATES, { after }).subscribe(({ data, error }) => (error ? reject(error) : showUpdate(data)));
  });

for (;;) {
  const { data, error } = await client.query(SCREEN, {}, { requestPolicy: "network-only" });
  if (error) throw error;
  showScreen(data);
  await follow(data.updatesCursor).catch((error) => {
    if (!isExpired(error)) throw error;
  });
}
