// A key pair for signing mail, as JSON.
import { generateKeyPairSync } from "node:crypto";

const pair = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "der" },
});
console.log(JSON.stringify({ private: pair.privateKey, public: pair.publicKey.toString("base64") }));
