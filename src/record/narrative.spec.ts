import { narrativeFault } from './narrative';

describe('narrativeFault', () => {
  it.each([
    '<div><script>x</script></div>',
    '<div><SCRIPT>x</SCRIPT></div>',
    '<div><p onclick="x()">a</p></div>',
    "<div><p\nONMOUSEOVER = 'x'>a</p></div>",
    '<div><a href="javascript:x">a</a></div>',
    '<div><a href=" java&#x09;script&colon;x">a</a></div>',
    '<div><a href="&#106;avascript:x">a</a></div>',
    '<div><a href=javascript:x>a</a></div>',
    '<div><a href="data:text/html,x">a</a></div>',
    '<div><img src="vbscript:x"/></div>',
    '<div><img src="data:image/svg+xml;base64,AAAA"/></div>',
    '<div><img/src="x"/onerror="x"></div>',
    '<div><iframe src="https://example.org"></iframe></div>',
    '<div><svg><a xlink:href="x"/></svg></div>',
    '<div><form action="x"><input/></form></div>',
    '<div><p style="width: expression(x)">a</p></div>',
    '<div><p style="background:url(javascript:x)">a</p></div>',
    '<div><!--><script>x</script>--></div>',
    '<div><![CDATA[<script>]]></div>',
    '<?xml version="1.0"?><div/>',
    '<!DOCTYPE html><div/>',
    '<div><p title="a" <script>',
    '<p>a</p>',
    'text',
  ])('refuses %s', (text) => expect(narrativeFault(text)).toEqual(expect.any(String)));

  it.each([
    '<div/>',
    '<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="tr"><h1>Ağrı</h1><ul><li>1 &gt; 0</li></ul><hr /></div>',
    '<div><a href="#x">a</a><a href="Patient/1">b</a><a href="mailto:a@example.org?subject=a:b">c</a><a name="d">e</a></div>',
    '<div><img src="data:image/png;base64,AAAA" alt="x > y"/><table border="1" style="color: red; width:50%"><tr><td colspan=\'2\'>a</td></tr></table></div>',
  ])('accepts %s', (text) => expect(narrativeFault(text)).toBeUndefined());
});
