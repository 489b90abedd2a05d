// What oidc-provider keeps, in memory: one map per kind, of entries {payload, until}. See its example/my_adapter.js for
// what each function is for.

export function createStore() {
  const kinds = new Map();

  return class Store {
    constructor(kind) {
      if (!kinds.has(kind)) {
        kinds.set(kind, new Map());
      }
      this.entries = kinds.get(kind);
    }

    async upsert(id, payload, lifetime) {
      this.entries.set(id, { payload, until: lifetime ? Date.now() + lifetime * 1000 : Infinity });
    }

    async find(id) {
      const entry = this.entries.get(id);
      return entry && entry.until > Date.now() ? entry.payload : undefined;
    }

    async findByUid(uid) {
      return this.#findBy('uid', uid);
    }

    async findByUserCode(userCode) {
      return this.#findBy('userCode', userCode);
    }

    async consume(id) {
      this.entries.get(id).payload.consumed = Math.floor(Date.now() / 1000);
    }

    async destroy(id) {
      this.entries.delete(id);
    }

    async revokeByGrantId(grantId) {
      for (const [id, { payload }] of this.entries) {
        if (payload.grantId === grantId) {
          this.entries.delete(id);
        }
      }
    }

    async #findBy(name, value) {
      const [id] = [...this.entries].find(([, { payload }]) => payload[name] === value) ?? [];
      return id && this.find(id);
    }
  };
}
