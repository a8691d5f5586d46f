// Calls shop.Quotes as @grpc/grpc-js does: grpc_js_caller.js ADDRESS PLAN. PLAN is a JSON list of calls, made one after
// another, or all at once where a call says `together: true`:
//   {form, size, count, metadata: [[key, value]], deadline: ms, cancelAfter: messages}
// Prints a JSON list of how each ended: {code, details, messages, bytes, headers, trailers}.

const grpc = require('@grpc/grpc-js');

const [address, plan] = [process.argv[2], JSON.parse(process.argv[3])];
const same = (bytes) => bytes;
const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.enable_retries': 0, // or a caller would hide what the proxy did
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
});

function metadataOf(step) {
    const metadata = new grpc.Metadata();
    for (const [key, value] of step.metadata || [])
        metadata.add(key, key.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
    return metadata;
}

const plain = (metadata) => Object.fromEntries(Object.entries(metadata.toJSON()).map(
    ([key, values]) => [key, values.map((value) => (Buffer.isBuffer(value) ? value.toString('base64') : value))]));

function perform(step) {
    return new Promise((resolve) => {
        const outcome = {messages: 0, bytes: 0, headers: {}};
        const path = '/shop.Quotes/' + step.form[0].toUpperCase() + step.form.slice(1);
        const options = step.deadline ? {deadline: Date.now() + step.deadline} : {};
        const message = Buffer.alloc(step.size || 0, 'x');
        const take = (received) => {
            outcome.messages += 1;
            outcome.bytes += received.length;
            if (outcome.messages === step.cancelAfter)
                call.cancel();
        };
        const answered = (error, received) => received && take(received);
        const metadata = metadataOf(step);
        const call = {
            get: () => client.makeUnaryRequest(path, same, same, message, metadata, options, answered),
            upload: () => client.makeClientStreamRequest(path, same, same, metadata, options, answered),
            watch: () => client.makeServerStreamRequest(path, same, same, message, metadata, options),
            chat: () => client.makeBidiStreamRequest(path, same, same, metadata, options),
        }[step.form]();
        if (step.form === 'watch' || step.form === 'chat')
            call.on('data', take).on('error', () => {});
        if (step.form === 'upload' || step.form === 'chat') {
            for (let number = 0; number < (step.count || 0); number++)
                call.write(message);
            call.end();
        }
        call.on('metadata', (headers) => { outcome.headers = plain(headers); });
        call.on('status', ({code, details, metadata: trailers}) =>
            setImmediate(() => resolve({...outcome, code, details, trailers: plain(trailers)})));
    });
}

(async () => {
    const outcomes = [];
    for (const step of plan) {
        const pending = perform(step);
        outcomes.push(step.together ? pending : await pending);
    }
    console.log(JSON.stringify(await Promise.all(outcomes)));
    client.close();
})();
