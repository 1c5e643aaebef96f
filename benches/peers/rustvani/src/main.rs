//! A server made with rustvani, to be measured beside ours: one thread, as its Twilio example does it, without what needs a
//! network.
//!
//! `rustvani-peer echo|vad PORT`
//!
//! `echo` returns every frame. `vad` listens with Silero's network (rustvani's own engine, its default) and plays a fixed
//! second of sound when the caller has spoken, as a voice service would.

use std::f64::consts::TAU;
use std::sync::Arc;

use async_trait::async_trait;
use rustvani::axum::Router;
use rustvani::axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use rustvani::axum::routing::get;
use rustvani::frames::{FrameInner, SystemFrame};
use rustvani::transport::{TransportParams, WebSocketParams, WebSocketTransport};
use rustvani::{
    Frame, FrameDirection, FrameHandler, FrameProcessor, PipelineParams, PipelineTask, SileroVadNative,
    TwilioFrameSerializer, TwilioInputParams, TwilioStart, VadAnalyzer, VadParams, system_clock,
};

const LINE_RATE: u32 = 8_000;

/// Makes each frame heard one to say.
struct Echo;

#[async_trait]
impl FrameHandler for Echo {
    async fn on_process_frame(
        &self,
        processor: &FrameProcessor,
        frame: Frame,
        direction: FrameDirection,
    ) -> rustvani::Result<()> {
        let frame = match frame.inner {
            FrameInner::System(SystemFrame::InputAudioRaw(sound)) => Frame::output_audio_raw(sound),
            _ => frame,
        };
        processor.push_frame(frame, direction).await
    }
}

/// Says the same after everything that the caller says. Takes the caller's sound: nobody behind it wants it.
struct Reply {
    /// In the 20 ms frames in which voice services send it.
    sound: Vec<Vec<u8>>,
}

impl Reply {
    fn new() -> Self {
        let tone =
            |sample: u32| (4_000.0 * (TAU * 440.0 * f64::from(sample) / f64::from(LINE_RATE)).sin()) as i16;
        let octets: Vec<u8> = (0..LINE_RATE).flat_map(|sample| tone(sample).to_le_bytes()).collect();
        Self { sound: octets.chunks(320).map(<[u8]>::to_vec).collect() }
    }
}

#[async_trait]
impl FrameHandler for Reply {
    async fn on_process_frame(
        &self,
        processor: &FrameProcessor,
        frame: Frame,
        direction: FrameDirection,
    ) -> rustvani::Result<()> {
        match frame.inner {
            FrameInner::System(SystemFrame::InputAudioRaw(_)) => return Ok(()),
            FrameInner::System(SystemFrame::VADUserStoppedSpeaking { .. }) => {
                processor.push_frame(frame, direction).await?;
                for sound in &self.sound {
                    processor.push_frame(Frame::output_audio(sound.clone(), LINE_RATE, 1), direction).await?;
                }
                Ok(())
            }
            _ => processor.push_frame(frame, direction).await,
        }
    }
}

/// The stream's names, from the first messages.
async fn start(socket: &mut WebSocket) -> Option<TwilioStart> {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(text) = message
            && let Some(start) = TwilioStart::parse(&text)
        {
            return Some(start);
        }
    }
    None
}

async fn call(mut socket: WebSocket, listens: bool) {
    let Some(start) = start(&mut socket).await else { return };
    let params = TwilioInputParams { auto_hang_up: false, ..TwilioInputParams::default() };
    let serializer = TwilioFrameSerializer::from_start(start, None, params).expect("no credentials needed");
    let vad_analyzer =
        listens.then(|| Arc::new(SileroVadNative::new(16_000).expect("built in")) as Arc<dyn VadAnalyzer>);
    let transport = WebSocketTransport::new(
        "call",
        WebSocketParams {
            transport: TransportParams {
                audio_in_enabled: true,
                // The detector wants 16 kHz; an echo needs no other rate than the line's.
                audio_in_sample_rate: Some(if listens { 16_000 } else { LINE_RATE }),
                audio_out_enabled: true,
                audio_out_sample_rate: Some(LINE_RATE),
                audio_out_10ms_chunks: 2,
                vad_analyzer,
                // As its documentation has it for a telephone, but for the pause that ends a turn.
                vad_params: VadParams {
                    confidence: 0.45,
                    min_volume: 0.0,
                    stop_secs: 0.5,
                    ..VadParams::default()
                },
                ..TransportParams::default()
            },
        },
    );
    transport.set_serializer(Box::new(serializer));
    let answerer = if listens {
        FrameProcessor::new("Reply", Box::new(Reply::new()), false)
    } else {
        FrameProcessor::new("Echo", Box::new(Echo), false)
    };
    let task =
        PipelineTask::new(vec![transport.input(), answerer, transport.output()], PipelineParams::default());
    let push = task.push_sender();
    let (ended, ()) = tokio::join!(task.run(system_clock(), None), transport.run_socket(socket, push));
    if let Err(error) = ended {
        eprintln!("{error}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, port] = arguments.as_slice() else {
        eprintln!("rustvani-peer echo|vad PORT");
        std::process::exit(2);
    };
    let listens = mode == "vad";
    let route = get(move |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(move |socket| call(socket, listens))
    });
    let address = format!("127.0.0.1:{port}");
    let listener = tokio::net::TcpListener::bind(&address).await.expect("the port is free");
    rustvani::axum::serve(listener, Router::new().route("/", route)).tcp_nodelay(true).await.expect("serves");
}
