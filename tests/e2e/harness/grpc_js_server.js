// shop.Quotes as a server of @grpc/grpc-js: grpc_js_server.js PORT. Get gives back what it takes, a little later; Watch
// gives thirty messages. A line on stdin is a command and is answered by a line of JSON: `drain` ends all connections
// with GOAWAY and goes on listening, `calls` lists the x-number of each call and how many connections there were.

const readline = require('readline');
const grpc = require('@grpc/grpc-js');

const LATER_MS = 5;
const port = Number(process.argv[2]);
const same = (bytes) => bytes;
const form = (name, responseStream) => ({
    path: '/shop.Quotes/' + name, requestStream: false, responseStream, requestSerialize: same,
    requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
});
const numbers = [], peers = new Set();

function note(call) {
    numbers.push(...call.metadata.get('x-number').map(Number));
    peers.add(call.getPeer());
}

const server = new grpc.Server();
server.addService({Get: form('Get', false), Watch: form('Watch', true)}, {
    Get(call, callback) {
        note(call);
        setTimeout(() => callback(null, call.request), LATER_MS);
    },
    Watch(call) {
        note(call);
        let left = 30;
        const timer = setInterval(() => {
            call.write(Buffer.from('tick'));
            if (--left === 0) {
                clearInterval(timer);
                call.end();
            }
        }, 20);
    },
});
server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
    console.log(error ? error.message : 'ready');
});
readline.createInterface({input: process.stdin}).on('line', (command) => {
    if (command === 'drain')
        server.drain(`127.0.0.1:${port}`, 5000);
    console.log(JSON.stringify(command === 'calls' ? [numbers, peers.size] : null));
}).on('close', () => process.exit(0));
