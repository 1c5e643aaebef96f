// A booking agent as a ConversationRelay server, in Node's standard library alone.
//
//   node --experimental-strip-types server.ts 8082        (Node 22 and later; `tsc` makes a server.js for older ones)
//
// It takes a day and a number of people, books a table, and says goodbye. The WebSocket part below is what a package such as `ws`
// does for you; everything that is yours is in `Agent`.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { Duplex } from "node:stream";

type Message = { type: string; [field: string]: any };
type Send = (message: Message) => void;

const NUMBERS: Record<string, number> = { one: 1, two: 2, three: 3, four: 4, five: 5, six: 6, seven: 7, eight: 8 };
const DAYS = "monday tuesday wednesday thursday friday saturday sunday today tomorrow tonight".split(" ");

/** One call: messages in, messages out. */
class Agent {
  day?: string;
  people?: number;
  caller = "";
  send: Send;

  constructor(send: Send) {
    this.send = send;
  }

  say(token: string, last = true) {
    this.send({ type: "text", token, last });
  }

  on(message: Message) {
    switch (message.type) {
      case "setup":
        this.caller = message.from;
        return this.say("Blue Door restaurant, good day. For which day, and for how many people?");
      case "prompt": {
        if (message.last === false) return;
        const words: string[] = message.voicePrompt.toLowerCase().match(/[a-z]+|\d+/g) ?? [];
        const number = words.map((word) => NUMBERS[word] ?? Number(word)).find((count) => count > 0);
        return this.take(words.find((word) => DAYS.includes(word)), number);
      }
      case "dtmf":
        return this.take(undefined, Number(message.digit) || undefined);
      case "interrupt":
        return console.log("interrupted after:", message.utteranceUntilInterrupt);
    }
  }

  take(day?: string, people?: number) {
    this.day = day ?? this.day;
    this.people = people ?? this.people;
    if (!this.day) return this.say("For which day, please?");
    if (!this.people) return this.say("For how many people? You can also press a key.");
    this.say(`A table for ${this.people}, ${this.day}. `, false);
    this.say("It is booked. Goodbye!");
    this.send({ type: "end", handoffData: JSON.stringify({ day: this.day, people: this.people }) });
  }
}

/** RFC 6455, as far as a ConversationRelay server needs it. */
function serve(socket: Duplex) {
  const frame = (opcode: number, data: Buffer) => {
    const head = data.length < 126 ? Buffer.from([128 | opcode, data.length])
      : Buffer.from([128 | opcode, 126, data.length >> 8, data.length & 255]);
    socket.write(Buffer.concat([head, data]));
  };
  const agent = new Agent((message) => frame(1, Buffer.from(JSON.stringify(message))));
  let buffer = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (data: Buffer) => {
    buffer = Buffer.concat([buffer, data]);
    for (;;) {
      if (buffer.length < 2) return;
      let length = buffer[1] & 127, start = 2;
      if (length === 126) {
        if (buffer.length < 4) return;
        length = buffer.readUInt16BE(2);
        start = 4;
      }
      if (buffer.length < start + 4 + length) return;
      const mask = buffer.subarray(start, start + 4);
      const text = Buffer.from(buffer.subarray(start + 4, start + 4 + length).map((byte, at) => byte ^ mask[at % 4]));
      const opcode = buffer[0] & 15;
      buffer = buffer.subarray(start + 4 + length);
      if (opcode === 8) {
        frame(8, text.subarray(0, 2));
        return socket.end();
      }
      if (opcode === 9) frame(10, text);
      if (opcode === 1) {
        const message = JSON.parse(text.toString());
        console.log(message.type);
        agent.on(message);
      }
    }
  });
}

const server = createServer((_, response) => response.writeHead(426).end("this address speaks WebSocket\n"));
server.on("upgrade", (request, socket) => {
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  serve(socket);
});
server.listen(Number(process.argv[2] ?? 8082), "127.0.0.1", () => {
  const address = server.address() as { port: number };
  console.log(`listening on ws://127.0.0.1:${address.port}/relay`);
});
