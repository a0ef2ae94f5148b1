// A name server that answers every query with NXDOMAIN (RFC 1035, section 4.1.1).

const HEADER_BYTES = 12;

let query;

function readQuery(session) {
    session.on('upstream', function (data) {
        query = data;
        session.done();
    });
}

function answer(session) {
    session.on('downstream', function (data, flags) {
        session.off('downstream');
        if (query.length < HEADER_BYTES) {
            return;
        }
        const message = Buffer.from(query);
        // The response flag and the code NXDOMAIN (3).
        message[2] |= 0x80;
        message[3] = message[3] & 0xf0 | 3;
        session.send(message, flags);
    });
}

export default {readQuery, answer};
