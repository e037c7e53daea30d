"""Words that people here make passwords of and that no English dictionary has. The most common come
first.

Family and given names as they are romanised and written, numbers that sound like words, and words
of this product.
"""

FAMILY_NAMES = """
wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo zheng liang
xie song tang han feng deng cao peng zeng xiao tian dong pan yuan cai jiang yu du ye cheng wei
su lv lu ding ren shen yao lou jin fan fang shi tan liao zou xiong hao kong bai cui kang mao qiu
qin gu hou shao meng long wan duan lei qian dai yan xue lai wen ouyang
"""
GIVEN_NAMES = """
wei fang na min jing lei jun yang yong yan jie juan tao ming chao xiulan xia ping gang guiying
hua yun bo hui bin xin jia mei ling hong ying qiang peng fei long xiaoming xiaohong xiaohua
xiaoli xiaofang xiaolong xiaomei xiaoyan xiaojun xiaoyu xiaowei xiaoling xiaofei xiaobo weiwei
lili fangfang mingming tingting jingjing yuanyuan huihui lingling dandan nana yangyang lele
beibei baobao jiajia xinxin linlin haohao yuxuan zixuan haoran yuhan yichen yinuo zihan muchen
haoyu ruoxi shihan jiahao junjie jianguo jianhua jianjun guohua guoqiang zhiqiang zhigang
zhiyong haitao haibo haiyan wenjun wenjie wenbin wenwen shuhua shufang shuzhen guilan guizhi
xiuying xiuzhen yumei yulan yuhua yuzhen chunmei chunhua lihua lijuan liping lijun limin lina
dongmei xuemei hongmei haimei yanmei sanfeng san si wu sansi xiaojie zhangsan lisi wangwu
zhaoliu zhangwei wangwei wangfang liwei lina zhangmin lijing wangjing liuwei zhangli wanglei
"""
HANZI = """
王 李 张 刘 陈 杨 黄 赵 吴 周 徐 孙 马 朱 胡 郭 何 林 高 罗 郑 梁 谢
宋 唐 伟 芳 娜 敏 静 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀兰 霞 平 刚 桂英
小明 小红 张三 李四 王五 张伟 王伟 王芳 李伟 李娜 密码 我的密码 管理员 你好
我爱你 爱你 宝贝 老婆 老公 中国 北京 上海 广州 深圳 杭州 金山 金山云 云服务器
控制台 回收站 恭喜发财 万事如意 一帆风顺 新年快乐
"""
SAYINGS = """
woaini woaini1314 aini 5201314 1314520 520 1314 521 168 888 666 mima wodemima mimashi nihao
nihaoma baobei laopo laogong zhongguo beijing shanghai guangzhou shenzhen hangzhou chengdu wuhan
nanjing tianjin xian gongxifacai wanshiruyi facai fafafa xingfu kuaile pengyou shengri tiantian
guanliyuan denglu ceshi diannao shouji qq weixin taobao alibaba
"""
PRODUCT = """
kec console kecconsole kingsoft ksyun ksc jinshan jinshanyun cloud recycle bin recyclebin
instance server admin administrator root demo operator viewer acme research debian ubuntu
password passw0rd secret changeme letmein welcome test
"""

# A name and a saying can stand in both lists: the first place counts.
WORDS = list(dict.fromkeys(f"{PRODUCT} {SAYINGS} {FAMILY_NAMES} {GIVEN_NAMES} {HANZI}".split()))
