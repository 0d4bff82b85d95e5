/** Modules made of models, in the browser's database: the next visit starts faster. */
import { expectKind } from "../base/arguments.ts";
import { version } from "../base/version.ts";
import type { ModuleStore } from "../engine/session.ts";

export interface ModuleDatabaseOptions {
  /** What tells builds of one version apart, such as a hashed address of the script; entries of others are not found. */
  build?: string;
  /** Bytes that may be kept; the entries that were not used for longest go first. Default 128 MiB. */
  most?: number;
}

interface Entry {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly used: number;
}

const entries = "modules";

/**
 * For `load(…, { modules })` in a page or its workers: IndexedDB under this name. Undefined where a browser has no database, or no digest (a page
 * that is not served securely).
 */
export function moduleDatabase(
  name = "ncnnkit-modules",
  options: ModuleDatabaseOptions = {},
): ModuleStore | undefined {
  expectKind("moduleDatabase: name", name, "a string");
  expectKind("moduleDatabase: options", options, "an object of options");
  const { build = "", most = 128 * 2 ** 20 } = options;
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  const factory = (globalThis as { indexedDB?: IDBFactory }).indexedDB;
  if (!subtle || !factory) return undefined;
  let opened: Promise<IDBDatabase> | undefined;
  const database = (): Promise<IDBDatabase> => {
    opened ??= open(factory, name);
    return opened;
  };
  return {
    maker: `${version} ${build}`,
    most,
    digest: async (bytes) => {
      const digest = await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
      return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    },
    read: async (key) => {
      const store = (await database()).transaction(entries, "readwrite").objectStore(entries);
      const found = (await done(store.get(key))) as Entry | undefined;
      if (found) store.put({ ...found, used: Date.now() });
      return found?.bytes;
    },
    write: async (key, bytes) => {
      if (bytes.length > most) return;
      const store = (await database()).transaction(entries, "readwrite").objectStore(entries);
      const entry: Entry = { key, bytes, size: bytes.length, used: Date.now() };
      await done(store.put(entry));
      await prune(store, most);
    },
  };
}

async function open(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  const request = factory.open(name, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(entries, { keyPath: "key" }).createIndex("used", "used");
  };
  const database = await done(request);
  // Another tab wants to delete it, or has a newer form of it.
  database.onversionchange = () => database.close();
  return database;
}

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Latest first, until there is no more room. */
function prune(store: IDBObjectStore, most: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let kept = 0;
    const request = store.index("used").openCursor(null, "prev");
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) {
        resolve();
        return;
      }
      kept += (cursor.value as Entry).size;
      if (kept > most) cursor.delete();
      cursor.continue();
    };
  });
}
