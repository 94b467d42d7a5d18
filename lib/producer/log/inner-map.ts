/** The inner map of a map of maps, made when it is first asked for. */
export function innerMap<A, B, V>(outer: Map<A, Map<B, V>>, key: A): Map<B, V> {
  let inner = outer.get(key)
  if (inner === undefined) {
    inner = new Map()
    outer.set(key, inner)
  }
  return inner
}
