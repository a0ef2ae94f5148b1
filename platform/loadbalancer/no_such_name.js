// A name server that knows no name: each question comes back as its own answer, NXDOMAIN (RFC 1035, section 4.1.1).

const HEADER = 12;

let question;

function keep(session) {
    session.on('upstream', function (data) {
        question = data;
        session.done();
    });
}

function answer(session) {
    session.on('downstream', function (data, flags) {
        session.off('downstream');
        if (question.length < HEADER) {
            return;
        }
        const message = Buffer.from(question);
        // A response, and the code 3.
        message[2] |= 0x80;
        message[3] = message[3] & 0xf0 | 3;
        session.send(message, flags);
    });
}

export default {keep, answer};
