// Apollo Client: `node apollo.js`. What an update selects of an order replaces what the cache holds of it, by its id.

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import { createResumingClient, isExpired } from "./resume.js";
import { SCREEN, UPDATES, authorization, showScreen, showUpdate, url } from "./orders.js";

const socket = createResumingClient({
  url: url.replace(/^http/, "ws"),
  connectionParams: { authorization },
});

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    new HttpLink({ uri: url, headers: { authorization } }),
  ),
});

const follow = (after) =>
  new Promise((resolve, reject) => {
    client.subscribe({ query: gql(UPDATES), variables: { after } }).subscribe({
      next: ({ data, error }) => (error ? reject(error) : showUpdate(data)),
      error: reject,
      complete: resolve,
    });
  });

for (;;) {
  const { data } = await client.query({ query: gql(SCREEN), fetchPolicy: "network-only" });
  showScreen(data);
  await follow(data.updatesCursor).catch((error) => {
    if (!isExpired(error)) throw error;
  });
}
