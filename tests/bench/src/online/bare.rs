//! Bare tonic servers: they answer every lookup with the same bytes, which are encoded once.

use std::convert::Infallible;
use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{Buf, BufMut};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Bytes, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use trifold_server::api::GetFeaturesRequest;
use trifold_server::api::online_service_server::SERVICE_NAME;

/// What a bare server does with a request.
pub(crate) trait Answers: Clone + Send + Sync + 'static {
    /// What it reads of one.
    type Asked: ReadFrom;

    /// The bytes of an answer.
    fn answer(&self, asked: Self::Asked) -> impl Future<Output = Result<Bytes, Status>> + Send;
}

/// What can be read from a request's bytes.
pub(crate) trait ReadFrom: Send + 'static + Sized {
    /// Reads all that there is.
    fn read(message: &mut DecodeBuf<'_>) -> Result<Self, Status>;
}

impl ReadFrom for () {
    fn read(message: &mut DecodeBuf<'_>) -> Result<(), Status> {
        message.advance(message.remaining());
        Ok(())
    }
}

impl ReadFrom for GetFeaturesRequest {
    fn read(message: &mut DecodeBuf<'_>) -> Result<Self, Status> {
        GetFeaturesRequest::decode(message).map_err(|error| Status::internal(error.to_string()))
    }
}

/// Answers from memory, without reading what is asked.
#[derive(Clone)]
pub(crate) struct FromMemory(pub(crate) Bytes);

impl Answers for FromMemory {
    type Asked = ();

    async fn answer(&self, (): ()) -> Result<Bytes, Status> {
        Ok(self.0.clone())
    }
}

/// Starts a server and gives its URL.
pub(crate) async fn start(answers: impl Answers) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(tonic::transport::Server::builder().add_service(Bare(answers)).serve_with_incoming(incoming));
    Ok(url)
}

#[derive(Clone)]
struct Bare<A>(A);

impl<A> NamedService for Bare<A> {
    const NAME: &'static str = SERVICE_NAME;
}

impl<A: Answers> Service<http::Request<Body>> for Bare<A> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answers = Unary(self.0.clone());
        Box::pin(async move { Ok(Grpc::new(Plain::<A::Asked>(PhantomData)).unary(answers, request).await) })
    }
}

struct Unary<A>(A);

impl<A: Answers> UnaryService<A::Asked> for Unary<A> {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<A::Asked>) -> Self::Future {
        let answers = self.0.clone();
        Box::pin(async move { answers.answer(request.into_inner()).await.map(Response::new) })
    }
}

/// Writes an answer's bytes as they are.
struct Plain<Q>(PhantomData<fn() -> Q>);

impl<Q: ReadFrom> Codec for Plain<Q> {
    type Encode = Bytes;
    type Decode = Q;
    type Encoder = Plain<Q>;
    type Decoder = Plain<Q>;

    fn encoder(&mut self) -> Plain<Q> {
        Plain(PhantomData)
    }

    fn decoder(&mut self) -> Plain<Q> {
        Plain(PhantomData)
    }
}

impl<Q> Encoder for Plain<Q> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl<Q: ReadFrom> Decoder for Plain<Q> {
    type Item = Q;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Q>, Status> {
        Q::read(message).map(Some)
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}
