// A value that components draw again when it changes.
import { useEffect, useState } from "./vendor/htm-preact.js";

export function store(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore(source) {
  const [, draw] = useState(0);
  useEffect(() => source.subscribe(() => draw((count) => count + 1)), [source]);
  return source.get();
}
