// What the three clients ask for, and how they show it.

import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket; // browsers, and Node from 22 on, bring their own

export const url = process.env.CROSSDOCK_URL ?? "http://127.0.0.1:8000/graphql";
export const token = process.env.CROSSDOCK_TOKEN; // crossdock token --role OPERATIONS
export const authorization = `Bearer ${token}`;

// The cursor is selected before the list, so whatever happens after the list was read is an update after the cursor.
export const SCREEN = `query { updatesCursor orders(first: 20) { edges { node { id number status } } } }`;

export const UPDATES = `subscription ($after: Cursor) {
  orderUpdates(after: $after) { cursor kind order { id number status } }
}`;

export function showScreen({ updatesCursor, orders }) {
  console.log(JSON.stringify({ screen: orders.edges.map(({ node }) => node.number), cursor: updatesCursor }));
}

export function showUpdate({ orderUpdates: { cursor, kind, order } }) {
  console.log(JSON.stringify({ cursor, kind, number: order.number, status: order.status }));
}
